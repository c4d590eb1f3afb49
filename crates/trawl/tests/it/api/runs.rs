//! Looking after a run: progress, downloads, cancel, rerun, list, deliveries.

use super::harness::{Server, TOKEN};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TWO: &str = r#"[{"url":"http://a.example/1"},{"url":"http://b.example/2"}]"#;

#[tokio::test]
async fn a_running_job_is_a_202_and_a_cancelled_one_a_400() {
    let server = Server::start().await;
    let id = server.trigger("", TWO).await.id();
    for format in ["json", "csv", "raw"] {
        let answer = server.get(&format!("/datasets/v3/snapshot/{id}?format={format}")).await;
        assert_eq!((answer.status, answer.json()["status"].as_str()), (202, Some("running")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("retry-after").is_some());
    }
    let cancel = format!("/datasets/v3/snapshot/{id}/cancel");
    let answer = server.post(&cancel, "").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "OK"));
    assert_eq!(server.post(&cancel, "").await.refusal(), (400, "Snapshot is not running".into()));
    let progress = server.get(&format!("/datasets/v3/progress/{id}")).await.json();
    assert_eq!(progress["status"], "canceled");
    assert_eq!(progress["error_codes"], json!({ "aborted_page": 2 }));
    assert_eq!(server.get(&format!("/datasets/v3/snapshot/{id}")).await.refusal().0, 400);
    assert_eq!(server.get(&format!("/datasets/v3/snapshot/{id}/parts")).await.refusal().0, 400);
    let deliver = json!({ "deliver": { "type": "webhook", "endpoint": "http://a.example/" } }).to_string();
    assert_eq!(server.post(&format!("/datasets/v3/deliver/{id}"), &deliver).await.refusal().0, 400);
}

#[tokio::test]
async fn progress_keeps_the_documented_order_of_keys() {
    let server = Server::start().await;
    let id = server.trigger("", TWO).await.id();
    let running = server.get(&format!("/datasets/v3/progress/{id}")).await.text();
    let begins = format!(
        "{{\"status\":\"running\",\"snapshot_id\":\"{id}\",\"dataset_id\":\"gd_strict\",\"running_time\":"
    );
    assert!(running.starts_with(&begins), "{running}");
    let snapshot = model::SnapshotId::parse(&id).unwrap();
    server.store.fail(&snapshot, "Snapshot is empty", model::Timestamp::from_ms(0)).await.unwrap();
    let failed = server.get(&format!("/datasets/v3/progress/{id}")).await.text();
    let begins = format!(
        "{{\"status\":\"failed\",\"snapshot_id\":\"{id}\",\"dataset_id\":\"gd_strict\",\"error_message\":\"Snapshot is empty\""
    );
    assert!(failed.starts_with(&begins), "{failed}");
    assert_eq!(
        server.get(&format!("/datasets/v3/snapshot/{id}")).await.refusal(),
        (400, "Snapshot is empty".into())
    );
}

#[tokio::test]
async fn a_long_poll_answers_at_the_change_and_events_end_with_it() {
    let server = Server::start().await;
    let id = server.trigger("", TWO).await.id();
    // The events' first is there before anything changes, so the cancel below comes in the middle.
    let mut events = TcpStream::connect(server.at).await.unwrap();
    let head = format!(
        "GET /datasets/v3/progress/{id}/events HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    events.write_all(head.as_bytes()).await.unwrap();
    let mut told = String::new();
    while !told.contains("\n\ndata: ") && !told.contains("event: progress\ndata: ") {
        let mut piece = [0; 4096];
        let n = events.read(&mut piece).await.unwrap();
        assert!(n > 0, "the events ended: {told}");
        told.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    let wait = format!("/datasets/v3/progress/{id}?wait=60");
    let cancel = format!("/datasets/v3/snapshot/{id}/cancel");
    let polled = async {
        tokio::time::timeout(Duration::from_secs(30), server.get(&wait))
            .await
            .expect("an answer at the change")
    };
    let (polled, cancelled) = tokio::join!(polled, server.post(&cancel, ""));
    assert_eq!(cancelled.status, 200);
    assert_eq!(polled.json()["status"], "canceled");
    let rest = tokio::time::timeout(Duration::from_secs(30), events.read_to_string(&mut told)).await;
    rest.expect("the events end").unwrap();
    assert!(told.contains("text/event-stream"), "{told}");
    let last = told.rsplit("event: end\ndata: ").next().unwrap();
    assert!(last.starts_with("{\"status\":\"canceled\""), "{told}");
    assert_eq!(server.get(&format!("/datasets/v3/progress/{id}?wait=61")).await.refusal().0, 400);
}

#[tokio::test]
async fn rerun_begins_a_new_job_with_the_same_rows_and_options() {
    let server = Server::start().await;
    let id = server.trigger("&include_errors=true&limit_multiple_results=7", TWO).await.id();
    let again = server.post(&format!("/datasets/v3/snapshot/{id}/rerun"), "").await.id();
    assert_ne!(again, id);
    let inputs = |id: String| {
        let server = &server;
        async move { server.get(&format!("/datasets/v3/snapshot/{id}/input")).await.text() }
    };
    assert_eq!(inputs(again.clone()).await, inputs(id).await);
    let snapshot = server.store.snapshot(&model::SnapshotId::parse(&again).unwrap()).await.unwrap();
    assert!(snapshot.trigger.include_errors);
    assert_eq!(snapshot.trigger.limit_multiple_results, Some(7));
    let missing = server.post("/datasets/v3/snapshot/sd_nosuch/rerun", "").await;
    assert_eq!(missing.refusal(), (404, "snapshot not found".into()));
}

#[tokio::test]
async fn the_list_is_filtered_and_counted() {
    let server = Server::start().await;
    let first = server.trigger("", TWO).await.id();
    let second = server.post("/datasets/v3/trigger?dataset_id=strict", TWO).await.id();
    server.post(&format!("/datasets/v3/snapshot/{first}/cancel"), "").await;
    let list = |query: &'static str| {
        let server = &server;
        async move {
            let answer = server.get(&format!("/datasets/v3/snapshots?dataset_id=gd_strict{query}")).await;
            let ids: Vec<String> = answer
                .json()
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["id"].as_str().unwrap().to_owned())
                .collect();
            (ids, answer.header("x-total-count").map(str::to_owned))
        }
    };
    assert_eq!(list("").await, (vec![second.clone(), first.clone()], None));
    assert_eq!(list("&status=canceled").await.0, std::slice::from_ref(&first));
    assert_eq!(list("&status=running").await.0, std::slice::from_ref(&second));
    assert_eq!(list("&limit=1&with_total=true").await, (vec![second], Some("2".into())));
    assert_eq!(list("&skip=1").await.0, std::slice::from_ref(&first));
    assert_eq!(list("&to_date=2001-01-01").await.0, [""; 0]);
    assert_eq!(list("&trigger_type=CP").await.0, [""; 0]);
    assert_eq!(server.get("/datasets/v3/snapshots").await.refusal().0, 400);
    let log = server.get(&format!("/datasets/v3/log/{first}")).await.json();
    let keys: Vec<&str> = log.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = "id created Status dataset_name scraper_name Dataset_size Inputs_count Dataset_id \
                  Discovery_collector_id file_size trigger Duration Duration_per_input Success_rate scraper_version";
    assert_eq!(keys.join(" "), wanted);
}
