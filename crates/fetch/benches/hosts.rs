//! The host scheduler alone: a million hosts with a request waiting for each, a hundred thousand of them asked a second at
//! most, and how many turns one core hands out. `cargo bench -p fetch --bench hosts [-- TURNS]`.

use fetch::pace::{Core, Limits, Report, Ticket, Want};
use std::time::{Duration, Instant};

const HOSTS: usize = 1_000_000;

/// The most memory that this process ever had, KiB; 0 where `/proc` does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn per_second(n: usize, time: Duration) -> u128 {
    n as u128 * 1_000_000 / time.as_micros().max(1)
}

fn main() {
    // `cargo test` runs benches too, with another argument: a moment is enough there.
    let turns: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(3_000_000);
    let names: Vec<String> = (0..HOSTS).map(|n| format!("www.host-{n}.example")).collect();
    let before = peak_kib();
    let limits = Limits { concurrency: 128, host_concurrency: 8, host_delay: Duration::from_millis(100) };
    let mut core = Core::new(limits);
    let mut now = 1_000_000;

    let began = Instant::now();
    // Which host each seat is of, to ask again for it.
    let mut of_seat: Vec<u32> = Vec::with_capacity(HOSTS);
    let ask = |core: &mut Core, of_seat: &mut Vec<u32>, host: u32, now: u64| {
        let Ok(ticket) = core.ask(&names[host as usize], Want::default(), now) else { return };
        let seat = ticket.seat();
        if of_seat.len() <= seat {
            of_seat.resize(seat + 1, 0);
        }
        of_seat[seat] = host;
    };
    for host in 0..HOSTS as u32 {
        ask(&mut core, &mut of_seat, host, now);
    }
    let asked = began.elapsed();
    let queued_kib = peak_kib().saturating_sub(before);

    let began = Instant::now();
    let mut given: Vec<Ticket> = Vec::new();
    let mut done = 0;
    while done < turns {
        now += 10;
        core.turns(now, &mut given);
        for ticket in given.drain(..) {
            done += 1;
            let host = of_seat[ticket.seat()];
            core.leave(ticket, Report::Answer, now + 5);
            ask(&mut core, &mut of_seat, host, now + 5);
        }
    }
    let handed = began.elapsed();
    assert_eq!(core.waiting(), HOSTS);
    println!("asked {} requests/s, {queued_kib} KiB for {HOSTS} hosts waiting", per_second(HOSTS, asked));
    println!("turns {} per second", per_second(done, handed));
    println!("peak {} KiB", peak_kib().saturating_sub(before));
}
