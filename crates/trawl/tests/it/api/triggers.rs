//! What a trigger takes and refuses.

use super::harness::{Server, TOKEN};
use store::Claim;

const A: &str = r#"{"url":"http://a.example/1"}"#;

#[tokio::test]
async fn every_form_of_body_is_taken_and_kept() {
    let server = Server::start().await;
    let form = "--x\r\nContent-Disposition: form-data; name=\"data\"; filename=\"i.csv\"\r\n\r\n\
                url\r\nhttp://a.example/1\r\n--x--\r\n";
    let bodies = [
        ("application/json", format!("[{A}]")),
        ("application/json", format!("{{\"input\":[{A}]}}")),
        ("application/json", A.to_owned()),
        ("application/json", format!("{A}\n{A}\n")),
        ("application/x-ndjson", format!("{A}\n")),
        ("text/csv", "url,name\nhttp://a.example/1,\n".to_owned()),
        ("multipart/form-data; boundary=x", form.to_owned()),
        ("multipart/form-data; boundary=x", form.replace("url\r\nhttp://a.example/1", &format!("[{A}]"))),
    ];
    for (kind, body) in bodies {
        let id = server.post_as("/datasets/v3/trigger?dataset_id=gd_strict", kind, &body).await.id();
        let input = server.get(&format!("/datasets/v3/snapshot/{id}/input")).await;
        assert_eq!(input.status, 200);
        let lines: Vec<String> = input.text().lines().map(str::to_owned).collect();
        assert_eq!(lines[..2], ["url", "http://a.example/1"], "{kind} {body}");
        let progress = server.get(&format!("/datasets/v3/progress/{id}")).await.json();
        assert_eq!(progress["status"], "running");
        assert_eq!(progress["inputs"], lines.len() - 1);
    }
}

#[tokio::test]
async fn refusals_have_the_documented_status_and_text() {
    let server = Server::start().await;
    let cases = [
        ("", "[]", 400, "No data to trigger"),
        ("", "{\"input\":[]}", 400, "No data to trigger"),
        ("", "", 400, "Parser has expected a value"),
        ("", "junk", 400, "Parser cannot parse input: expected a value"),
        ("&type=zzz", "[]", 400, "\"type\" must be one of [discover_new, url_collection]"),
        ("&type=discover_new", "[]", 400, "Incorrect discovery collector id discover_by is required"),
        (
            "&type=discover_new&discover_by=x",
            "[]",
            400,
            "Incorrect discovery collector id Available types: keyword",
        ),
        ("&limit_per_input=0", "[]", 400, "\"limit_per_input\" must be greater than or equal to 1"),
        ("&stream_max_lines=10", A, 400, "\"stream_max_lines\" requires \"endpoint\" or \"deliver\""),
        ("&notify=true", A, 400, "\"notify\" requires \"endpoint\" if it is true"),
        ("&deadline=2001-01-01", A, 400, "\"deadline\" must be in the future"),
        ("&download_fields=html", A, 400, "\"download_fields\" requires \"endpoint\" or \"deliver\""),
    ];
    for (query, body, status, text) in cases {
        assert_eq!(server.trigger(query, body).await.refusal(), (status, text.to_owned()), "{query} {body}");
    }
    let unknown = server.post("/datasets/v3/trigger?dataset_id=gd_nosuch", A).await;
    assert_eq!(unknown.refusal(), (404, "dataset does not exist".into()));
    assert_eq!(server.post("/datasets/v3/trigger", A).await.refusal(), (404, "Collector not found".into()));
    let image = server.post_as("/datasets/v3/trigger?dataset_id=gd_strict", "image/png", "x").await;
    assert_eq!(image.refusal().0, 415);
    let field = server.trigger("&custom_output_fields=title|nosuch", A).await.refusal();
    assert!(field.1.ends_with("known fields: title, timestamp, input, discovery_input"), "{}", field.1);
    assert_eq!(server.listed().await, 0);
}

#[tokio::test]
async fn the_first_bad_row_is_named_and_nothing_is_kept() {
    let server = Server::start().await;
    let rows: Vec<String> = (0..20_000).map(|n| format!("{{\"url\":\"http://a.example/{n}\"}}")).collect();
    let answer = server.trigger("", &format!("[{},{{\"name\":\"x\"}},{{}}]", rows.join(","))).await;
    assert_eq!(answer.refusal(), (400, "Invalid input provided".into()));
    let body = answer.json();
    assert_eq!(body["index"], 20_001);
    assert_eq!(body["line"], "{\"name\":\"x\"}");
    assert_eq!(body["errors"], serde_json::json!([["url", "Required field"]]));
    let csv = format!("url\n{}", "http://a.example/1\n".repeat(3)) + "no-url\n";
    let answer = server.post_as("/datasets/v3/trigger?dataset_id=gd_strict", "text/csv", &csv).await;
    assert_eq!(answer.json()["index"], 4);
    assert_eq!(server.listed().await, 0);
    let all = store::SnapshotFilter { limit: 10, ..store::SnapshotFilter::default() };
    assert_eq!(server.store.snapshots(all).await.unwrap().1, 0);
}

#[tokio::test]
async fn strange_fields_are_carried_if_the_options_say_so_wherever_they_stand() {
    let server = Server::start().await;
    let row = r#"{"url":"http://a.example/1","my_id":7}"#;
    for body in [
        format!("{{\"custom_input_fields\":[\"my_id\"],\"input\":[{row}]}}"),
        format!("{{\"input\":[{row},{row}],\"custom_input_fields\":[\"my_id\"]}}"),
    ] {
        let id = server.trigger("", &body).await.id();
        let input = server.get(&format!("/datasets/v3/snapshot/{id}/input")).await.text();
        assert!(input.starts_with("url,my_id\r\n") || input.starts_with("url,my_id\n"), "{input}");
    }
    for body in [format!("[{row}]"), format!("{{\"input\":[{A},{row}],\"custom_input_fields\":[\"other\"]}}")]
    {
        let answer = server.trigger("", &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.json()["errors"][0][1], "This input should not contain a my_id field");
    }
}

#[tokio::test]
async fn a_limit_behind_many_rows_still_leaves_each_row_alone_in_its_slice() {
    let server = Server::start().await;
    let rows: Vec<String> = (0..9_000).map(|n| format!("{{\"url\":\"http://a.example/{n}\"}}")).collect();
    let body = format!("{{\"input\":[{}],\"limit_per_input\":5}}", rows.join(","));
    let id = server.trigger("", &body).await.id();
    let progress = server.get(&format!("/datasets/v3/progress/{id}")).await.json();
    assert_eq!(progress["inputs"], 9_000);
    let now = model::Timestamp::from_ms(i64::MAX / 4);
    let claim = Claim {
        jobs: 5,
        express_only: false,
        node: "t".into(),
        now,
        lease_until: now.plus_ms(1_000),
        pass_over: Vec::new(),
    };
    let leases = server.store.claim(claim).await.unwrap().leases;
    assert!(!leases.is_empty());
    for lease in leases {
        assert_eq!(lease.job.inputs.len(), 1);
        assert_eq!(lease.trigger.limit_per_input, Some(5));
    }
    assert_eq!(server.listed().await, 1);
}

#[tokio::test]
async fn the_same_key_is_the_same_job() {
    let server = Server::start().await;
    let auth = format!("Bearer {TOKEN}");
    let headers = [("Authorization", auth.as_str()), ("Idempotency-Key", "once")];
    let path = "/datasets/v3/trigger?dataset_id=gd_strict";
    let first = server.send("POST", path, &headers, A.as_bytes()).await.id();
    assert_eq!(server.send("POST", path, &headers, A.as_bytes()).await.id(), first);
    let other = server.send("POST", path, &headers, b"[{\"url\":\"http://b.example/\"}]").await;
    assert_eq!(other.refusal(), (409, "Idempotency-Key was used with another request".into()));
    assert_eq!(server.listed().await, 1);
    let long = "k".repeat(256);
    let headers = [("Authorization", auth.as_str()), ("Idempotency-Key", long.as_str())];
    assert_eq!(server.send("POST", path, &headers, A.as_bytes()).await.refusal().0, 400);
}

#[tokio::test]
async fn too_many_unfinished_jobs_are_a_429_in_the_documented_words() {
    let server = Server::with(|settings| settings.running_jobs_max = 1).await;
    server.trigger("", A).await.id();
    let answer = server.trigger("", A).await;
    let (status, text) = answer.refusal();
    assert_eq!(status, 429);
    assert!(text.ends_with("Running jobs: 1>=1"), "{text}");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn a_synchronous_call_answers_202_when_its_wait_is_over() {
    let server = Server::start().await;
    let answer = server.post("/datasets/v3/scrape?dataset_id=gd_strict", &format!("[{A}]")).await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["snapshot_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("x-snapshot-id"), Some(id.as_str()));
    assert!(answer.header("retry-after").is_some());
    let snapshot = server.store.snapshot(&model::SnapshotId::parse(&id).unwrap()).await.unwrap();
    assert!(snapshot.trigger.express);
    let many = format!("[{}]", vec![A; 21].join(","));
    let answer = server.post("/datasets/v3/scrape?dataset_id=gd_strict", &many).await;
    assert_eq!(answer.refusal(), (400, "\"input\" must contain less than or equal to 20 items".into()));
}
