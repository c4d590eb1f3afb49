//! The site as a program: the origin of benchmarks, and a place to try a scraper by hand.

use site::{Site, SiteOptions, shop};
use std::io::{self, Write as _};
use std::process::ExitCode;

const HELP: &str = "\
A small web on loopback: a shop whose truth is known, and misbehaviours under /bad/.

usage: site [--port N] [--pages N] [--hosts N] [--gzip] [--delay-ms N] [--on-demand] [--tls FILE]
       site --truth N      the records to find on the first N products, one JSON object per line
       site --dump ID      the page of a product

  --port N       port (8900); 0 finds one
  --pages N      products (20000)
  --hosts N      listens on 127.0.0.1 to 127.0.0.N (1)
  --gzip         sends gzip to clients that accept it
  --delay-ms N   waits before each answer (0)
  --on-demand    makes pages when asked for, instead of all of them before it starts
  --tls FILE     opens doors with TLS too, right and wrong ones, and writes their authority's certificate to FILE;
                 it says `NAME on https://127.0.0.1:PORT` of each on standard error

It says `listening on http://127.0.0.1:PORT` on standard error when it is ready.
";

enum Task {
    Serve(SiteOptions, Option<String>),
    Truth(u64),
    Dump(u64, u64),
    Help,
}

fn main() -> ExitCode {
    let done = match parse(std::env::args().skip(1)) {
        Ok(task) => run(task).map_err(|error| error.to_string()),
        Err(error) => Err(format!("{error}; try --help")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("site: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Task, String> {
    let mut options =
        SiteOptions { port: 8900, pages: 20_000, prebuilt: true, log: 0, ..SiteOptions::default() };
    let (mut truth, mut dump, mut authority) = (None, None, None);
    while let Some(arg) = args.next() {
        let (name, mut inline) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        if name == "--tls" {
            authority = Some(inline.take().or_else(|| args.next()).ok_or("--tls wants a file")?);
            options.tls = true;
            continue;
        }
        let mut number = |max: u64| {
            let text = inline.take().or_else(|| args.next()).ok_or(format!("{name} wants a number"))?;
            text.parse().ok().filter(|n| *n <= max).ok_or(format!("{name}: not a number up to {max}: {text}"))
        };
        match name.as_str() {
            "--port" => options.port = number(u16::MAX.into())? as u16,
            "--pages" => options.pages = number(u32::MAX.into())?,
            "--hosts" => options.hosts = number(254)? as u8,
            "--delay-ms" => options.delay_ms = number(3_600_000)?,
            "--truth" => truth = Some(number(u64::MAX)?),
            "--dump" => dump = Some(number(u64::MAX)?),
            "--gzip" => options.gzip = true,
            "--on-demand" => options.prebuilt = false,
            "--help" | "-h" => return Ok(Task::Help),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(match (truth, dump) {
        (Some(n), _) => Task::Truth(n),
        (None, Some(id)) => Task::Dump(id, options.pages),
        (None, None) => Task::Serve(options, authority),
    })
}

fn run(task: Task) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match task {
        Task::Help => out.write_all(HELP.as_bytes())?,
        Task::Dump(id, pages) => out.write_all(shop::page(id, pages).as_bytes())?,
        Task::Truth(n) => {
            for id in 0..n {
                let mut truth = shop::truth(id);
                truth["url"] = format!("/p/{id}").into();
                writeln!(out, "{truth}")?;
            }
        }
        Task::Serve(options, authority) => {
            let site = Site::start(options)?;
            if let Some(file) = authority {
                std::fs::write(file, site.authority())?;
            }
            for (name, address) in site.tls() {
                eprintln!("{name} on https://{address}");
            }
            eprintln!("listening on {}", site.base_url());
            site.run();
        }
    }
    out.flush()
}
