//! Questions: each about one moment.

use crate::world::{World, again, at, failed, input, missing, read, slices, trigger};
use model::{ArchivePart, FailureCode, Outcome, PageKey, SnapshotId, SnapshotState as S, Trigger};
use store::{KeptPart, SnapshotFilter};

pub(crate) async fn what_is_not_there_is_not_found(world: &World) {
    let nobody = world.new_id();
    let store = world.store();
    missing(store.snapshot(&nobody).await);
    missing(store.segments(&nobody, 0, 9).await);
    missing(store.aborted(&nobody, 0).await);
    missing(store.inputs(&nobody, 0).await);
    missing(store.archive(&nobody, 0, 9).await);
    missing(store.kept_pages(&nobody, &[PageKey([1; 16])]).await);
    missing(store.deliveries(&nobody).await);
    missing(store.quality(&nobody).await);
    missing(store.release(&nobody, false, at(0)).await);
    missing(store.add(&nobody, slices("a", 0, 1, 1), at(0)).await);
    missing(store.discard(&nobody).await);
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    missing(store.aborted(&id, 0).await);
    world.work_off(at(1)).await;
    missing(store.aborted(&id, 0).await);
}

/// Runs of two datasets and two origins, a second apart, the last one still running.
async fn some_runs(world: &World) -> Vec<SnapshotId> {
    let mut ids = Vec::new();
    for n in 0..7 {
        let mut asked = trigger();
        asked.dataset_id.0 = if n % 2 == 0 { "gd_even" } else { "gd_odd" }.into();
        asked.origin.kind = if n % 3 == 0 { "CP" } else { "API" }.into();
        let now = at(1_000 * n);
        let id = world.start(&asked, slices("a", 0, 1, 1), now).await;
        match n {
            0..3 => world.work_off(now).await,
            3 => world.store().cancel(&id, now).await.unwrap(),
            _ => {}
        }
        ids.push(id);
    }
    ids
}

async fn list(world: &World, filter: SnapshotFilter) -> (Vec<SnapshotId>, u64) {
    let (page, all) = world.store().snapshots(filter).await.unwrap();
    (page.into_iter().map(|snapshot| snapshot.id).collect(), all)
}

pub(crate) async fn runs_are_listed_newest_first(world: &World) {
    let mut ids = some_runs(world).await;
    ids.reverse();
    let everything = SnapshotFilter { limit: 100, ..SnapshotFilter::default() };
    assert_eq!(list(world, everything.clone()).await, (ids.clone(), 7));
    let (page, _) = world.store().snapshots(everything).await.unwrap();
    for snapshot in page {
        assert_eq!(snapshot, world.store().snapshot(&snapshot.id).await.unwrap(), "told whole");
    }
}

pub(crate) async fn runs_are_filtered(world: &World) {
    let ids = some_runs(world).await;
    let check = async |filter: SnapshotFilter, wanted: &[usize]| {
        let want: Vec<_> = wanted.iter().rev().map(|n| ids[*n].clone()).collect();
        let found = list(world, SnapshotFilter { limit: 100, ..filter.clone() }).await;
        assert_eq!(found, (want, wanted.len() as u64), "{filter:?}");
    };
    let none = SnapshotFilter::default;
    let words = |words: &[&str]| Some(words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>());
    check(SnapshotFilter { datasets: words(&["gd_odd"]), ..none() }, &[1, 3, 5]).await;
    check(
        SnapshotFilter { datasets: words(&["gd_odd", "gd_even", "gd_none"]), ..none() },
        &[0, 1, 2, 3, 4, 5, 6],
    )
    .await;
    check(SnapshotFilter { datasets: Some(Vec::new()), ..none() }, &[]).await;
    check(SnapshotFilter { datasets: words(&["' OR 1 = 1 --"]), ..none() }, &[]).await;
    check(SnapshotFilter { states: Some(vec![S::Ready]), ..none() }, &[0, 1, 2]).await;
    check(SnapshotFilter { states: Some(vec![S::Canceled, S::Running]), ..none() }, &[3, 4, 5, 6]).await;
    check(SnapshotFilter { states: Some(Vec::new()), ..none() }, &[]).await;
    check(SnapshotFilter { origin: Some("CP".into()), ..none() }, &[0, 3, 6]).await;
    check(SnapshotFilter { from: Some(at(2_000)), ..none() }, &[2, 3, 4, 5, 6]).await;
    check(SnapshotFilter { to: Some(at(2_000)), ..none() }, &[0, 1]).await;
    let all = SnapshotFilter {
        datasets: words(&["gd_even"]),
        states: Some(vec![S::Running, S::Ready]),
        from: Some(at(1)),
        to: Some(at(6_000)),
        origin: Some("API".into()),
        ..none()
    };
    check(all, &[2, 4]).await;
}

pub(crate) async fn pages_of_runs_do_not_overlap(world: &World) {
    let mut ids = some_runs(world).await;
    // Some made at the very same moment.
    for _ in 0..4 {
        ids.push(world.start(&trigger(), slices("a", 0, 1, 1), at(9_000)).await);
    }
    let mut seen = Vec::new();
    for skip in [0, 3, 6, 9] {
        let (page, all) = list(world, SnapshotFilter { skip, limit: 3, ..SnapshotFilter::default() }).await;
        assert_eq!(all, 11, "how many match in all, whatever the page");
        seen.extend(page);
    }
    let sorted = |mut ids: Vec<SnapshotId>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(seen), sorted(ids));
    let beyond = SnapshotFilter { skip: 11, limit: 3, ..SnapshotFilter::default() };
    assert_eq!(list(world, beyond).await, (Vec::new(), 11));
}

pub(crate) async fn running_counts_what_has_not_ended(world: &World) {
    some_runs(world).await;
    let running = async |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        world.store().running(&names).await.unwrap()
    };
    assert_eq!(running(&["gd_even"]).await, 2);
    assert_eq!(running(&["gd_odd"]).await, 1);
    assert_eq!(running(&["gd_odd", "gd_even", "gd_odd", "gd_none"]).await, 3, "each once");
    assert_eq!(running(&[]).await, 0);
    let mut asked = trigger();
    asked.dataset_id.0 = "gd_odd".into();
    world.prepare(&asked, slices("a", 0, 1, 1), at(0)).await;
    assert_eq!(running(&["gd_odd"]).await, 2, "a run that is starting counts");
}

pub(crate) async fn segments_are_read_from_anywhere(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 12, 1), at(0)).await;
    for n in 0..12 {
        let lease = world.claim_one(at(1)).await;
        let outcome = match n % 3 {
            0 => read(&lease, 2),
            1 => failed(&lease, FailureCode::DeadPage),
            _ => Outcome { settled: 1, ..Outcome::default() },
        };
        world.finish(&lease, &outcome, at(2)).await.unwrap();
    }
    let all = world.segments(&id).await;
    assert_eq!(all.len(), 8, "a job without rows leaves none");
    for from in 0..=all[7].seq + 1 {
        let want: Vec<_> = all.iter().filter(|s| s.seq >= from).take(3).cloned().collect();
        assert_eq!(world.store().segments(&id, from, 3).await.unwrap(), want);
    }
    assert!(world.store().segments(&id, 0, 0).await.unwrap().is_empty());
}

pub(crate) async fn inputs_are_read_in_batches(world: &World) {
    let mut all = slices("a", 0, 2_500, 64);
    // One row that fills a batch alone.
    let mut large = input(9_000, "a");
    large.row = format!("{{\"url\":\"http://a/\",\"x\":\"{}\"}}", noise(1 << 20));
    all.push(vec![large.clone(); 2]);
    all.extend(slices("b", 2_500, 70, 64));
    let id = world.start(&trigger(), all.clone(), at(0)).await;
    // What was handed back, led to or finished changes nothing.
    for n in 0..3 {
        let lease = world.claim_one(at(1)).await;
        let outcome = if n == 0 { again(&lease, at(9)) } else { read(&lease, 1) };
        world.finish(&lease, &outcome, at(2)).await.unwrap();
    }
    let (mut cursor, mut rows, mut batches) = (Some(0), Vec::new(), 0);
    while let Some(at) = cursor {
        let (batch, next) = world.store().inputs(&id, at).await.unwrap();
        assert!(batch.len() <= 1_100, "bounded");
        assert_eq!(
            world.store().inputs(&id, at).await.unwrap(),
            (batch.clone(), next),
            "a cursor stays valid"
        );
        rows.extend(batch);
        cursor = next;
        batches += 1;
    }
    assert!((3..10).contains(&batches), "{batches}");
    assert_eq!(rows.len(), 2_572);
    assert_eq!(rows, all.concat());
    // It need not hold still for that: the run may be stopped in between.
    world.store().cancel(&id, at(3)).await.unwrap();
    assert_eq!(world.store().inputs(&id, 0).await.unwrap().0, rows[..rows.len().min(1_024)]);
}

/// Text that does not pack well.
fn noise(len: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) async fn kept_parts_are_listed_and_found(world: &World) {
    let asked = Trigger { wishes: model::Wishes { archive: true, ..model::Wishes::default() }, ..trigger() };
    let id = world.start(&asked, slices("a", 0, 3, 1), at(0)).await;
    let (twice, once) = (PageKey([1; 16]), PageKey([2; 16]));
    let mut parts = Vec::new();
    for n in 0..3 {
        let lease = world.claim_one(at(n)).await;
        let key = format!("archive/{n}");
        let asked = if n == 1 { vec![once, twice] } else { vec![twice, twice] };
        let part = ArchivePart { key: key.clone(), bytes: 10 + n as u64, index_bytes: 5, asked };
        // The second leaves no rows.
        let outcome = Outcome { archive: Some(Box::new(part)), ..read(&lease, u64::from(n != 1)) };
        let mut late = lease.clone();
        late.epoch += 1;
        crate::world::lost(world.finish(&late, &outcome, at(n)).await);
        for _ in 0..2 {
            let segment = world.segment_of(&lease, &outcome);
            world.store().finish(&lease, &outcome, segment.as_ref(), &[], at(n)).await.unwrap();
        }
        parts.push(KeptPart { seq: n as u64, key, bytes: 10 + n as u64, index_bytes: 5 });
    }
    let store = world.store();
    assert_eq!(store.archive(&id, 0, 9).await.unwrap(), parts, "once each, at the number of their segment");
    assert_eq!(store.archive(&id, 1, 1).await.unwrap(), parts[1..2]);
    assert_eq!(world.segments(&id).await.iter().map(|s| s.seq).collect::<Vec<_>>(), [0, 2]);
    let [first, second, third] = parts.try_into().unwrap();
    let newest_first =
        vec![(third.clone(), 1), (third, 0), (second.clone(), 1), (first.clone(), 1), (first, 0)];
    let found = store.kept_pages(&id, &[once, PageKey([9; 16]), twice]).await.unwrap();
    assert_eq!(found, [vec![(second, 0)], Vec::new(), newest_first]);
    assert_eq!(store.kept_pages(&id, &[]).await.unwrap(), Vec::<Vec<_>>::new());
}

pub(crate) async fn gauges_count_everything(world: &World) {
    let both = |id: &SnapshotId| vec![world.rows(id, None), world.notice(id)];
    world.promise(&trigger(), slices("a", 0, 1, 1), at(0), both).await;
    world.work_off(at(1)).await;
    let asked = Trigger { limit_per_input: Some(9), ..trigger() };
    let twice = [slices("b", 1, 1, 1), slices("c", 1, 1, 1), slices("d", 1, 1, 1)].concat();
    world.promise(&asked, twice, at(2), both).await;
    world.prepare(&trigger(), slices("a", 0, 2, 1), at(3)).await;
    world.claim_one(at(4)).await;
    let gauges = world.store().gauges().await.unwrap();
    let of = |word| gauges.snapshots.get(word).copied().unwrap_or(0);
    assert_eq!((of("ready"), of("running"), of("starting"), of("failed")), (1, 1, 1, 0));
    assert_eq!(gauges.jobs_leased, 1);
    assert!((2..=4).contains(&gauges.jobs_waiting), "those behind others of their root wait too");
    let deliveries = |state| gauges.deliveries_in(state);
    assert_eq!((deliveries(model::DeliveryState::Waiting), deliveries(model::DeliveryState::Held)), (2, 2));
}
