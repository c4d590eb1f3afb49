//! The `deliver` object of every type, good and bad.

use super::*;
use proptest::prelude::*;

const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

fn fault(deliver: Value) -> String {
    promise(&deliver).unwrap_err().body()["error"].as_str().unwrap().to_owned()
}

/// One good object of each type.
fn good(kind: &str) -> Value {
    match kind {
        "webhook" => json!({ "type": kind, "endpoint": "https://a.example/x" }),
        "s3" => json!({ "type": kind, "bucket": "my.bucket-1", "region": "eu-west-1", "directory": "/a/b/",
            "endpoint_url": "https://s3.example", "credentials": { "aws-access-key": "AK", "aws-secret-key": "hunter2" } }),
        "gcs" => json!({ "type": kind, "bucket": "my_bucket",
            "credentials": { "client_email": "a@b", "private_key": "-----BEGIN PRIVATE KEY-----\\nhunter2\\n" } }),
        "azure" => json!({ "type": kind, "container": "my-box", "directory": "a",
            "credentials": { "account": "me1", "key": "hunter2" } }),
        "sftp" => {
            json!({ "type": kind, "path": "h.example", "port": 2222, "directory": "/in", "host_key": HOST_KEY,
            "credentials": { "username": "me", "password": "hunter2" } })
        }
        "email" => json!({ "type": kind, "address": "a@b.example" }),
        other => panic!("{other}"),
    }
}

#[test]
fn a_webhook_is_read_whole() {
    let read = promise(&json!({
        "type": "webhook", "endpoint": "https://a.example/x", "auth_header": "Token 1", "compress": true,
        "filename": { "template": "{[snapshot_id]}", "extension": "csv" }, "unknown": 1,
    }))
    .unwrap();
    assert_eq!(read.format, Format::Csv);
    assert!(read.compress);
    assert_eq!(read.file_template.as_deref(), Some("{[snapshot_id]}"));
    let Destination::Webhook { endpoint, auth_header, .. } = read.destination else { panic!() };
    assert_eq!((endpoint.as_str(), auth_header), ("https://a.example/x", Some(Sealed::plain("Token 1"))));
}

#[test]
fn a_login_in_an_address_becomes_a_credential() {
    let read = promise(&json!({ "type": "webhook", "endpoint": "https://me:hunter2@a.example/x" })).unwrap();
    let Destination::Webhook { endpoint, auth_header, .. } = read.destination else { panic!() };
    assert_eq!(endpoint, "https://a.example/x");
    assert_eq!(auth_header, Some(Sealed::plain("Basic bWU6aHVudGVyMg==")));
}

#[test]
fn every_type_is_read_and_shown_without_its_credentials() {
    for kind in AVAILABLE {
        let read = promise(&good(kind)).unwrap();
        assert_eq!(read.destination.kind(), *kind);
        let shown = shown(&read);
        assert!(
            !shown.to_string().contains("hunter2") && !format!("{read:?}").contains("hunter2"),
            "{shown}"
        );
        assert_eq!(shown["type"], *kind);
    }
    let Destination::S3 { directory, credentials, .. } = promise(&good("s3")).unwrap().destination else {
        panic!()
    };
    assert_eq!(directory.as_deref(), Some("a/b"));
    assert_eq!(credentials.as_plain(), Some(r#"{"aws-access-key":"AK","aws-secret-key":"hunter2"}"#));
    let Destination::Gcs { credentials, .. } = promise(&good("gcs")).unwrap().destination else { panic!() };
    assert!(
        credentials.as_plain().unwrap().contains(r"KEY-----\nhunter2\n"),
        "one escape, that of JSON itself"
    );
    let Destination::Sftp { directory, host_keys, .. } = promise(&good("sftp")).unwrap().destination else {
        panic!()
    };
    assert_eq!((directory.as_deref(), host_keys), (Some("/in"), vec![HOST_KEY.to_owned()]));
}

#[test]
fn faults_name_their_field() {
    assert_eq!(fault(json!([])), "\"deliver\" must be an object");
    assert_eq!(fault(json!({})), "\"deliver.type\" is required");
    assert!(fault(json!({ "type": "ftp" })).starts_with("\"deliver.type\" must be one of [webhook, s3"));
    for kind in ["gcp_pubsub", "snowflake", "ali_oss", "build"] {
        let fault = fault(json!({ "type": kind }));
        assert!(
            fault.contains(&format!("{kind} is not available on this server; available are webhook, s3")),
            "{fault}"
        );
    }
    let role = json!({ "type": "s3", "bucket": "abc", "credentials": { "role_arn": "arn:aws:iam::1:role/x", "external_id": "1" } });
    assert!(fault(role).contains("roles are not available on this server"));
    for (kind, field, value, said) in [
        ("webhook", "endpoint", json!(null), "\"deliver.endpoint\" is required"),
        ("webhook", "endpoint", json!("file:///etc"), "\"deliver.endpoint\" must be a valid uri"),
        ("webhook", "compress", json!("yes"), "\"deliver.compress\" must be a boolean"),
        ("s3", "bucket", json!(null), "\"deliver.bucket\" is required"),
        ("s3", "bucket", json!("a/../b"), "\"deliver.bucket\" must be the name"),
        ("s3", "bucket", json!("x".repeat(300)), "\"deliver.bucket\" must be the name"),
        ("s3", "bucket", json!(5), "\"deliver.bucket\" must be a string"),
        ("s3", "region", json!("x.evil.example/"), "\"deliver.region\" must be a region"),
        ("s3", "directory", json!("a/../../b"), "\"deliver.directory\" must not have"),
        ("s3", "directory", json!("x".repeat(3_000)), "\"deliver.directory\" length must be"),
        ("s3", "endpoint_url", json!("ftp://x"), "\"deliver.endpoint_url\" must be a valid uri"),
        ("s3", "endpoint_url", json!("http://me:pw@x"), "\"deliver.endpoint_url\" must have neither"),
        ("s3", "credentials", json!(null), "\"deliver.credentials\" is required"),
        ("s3", "credentials", json!("x"), "\"deliver.credentials\" must be an object"),
        (
            "s3",
            "credentials",
            json!({ "aws-access-key": "a" }),
            "\"deliver.credentials.aws-secret-key\" is required",
        ),
        (
            "s3",
            "credentials",
            json!({ "aws-access-key": "a", "aws-secret-key": "b", "c": "d" }),
            "\"deliver.credentials.c\" is not allowed",
        ),
        (
            "gcs",
            "credentials",
            json!({ "client_email": "a", "private_key": "b" }),
            "\"deliver.credentials.private_key\" must be the PEM",
        ),
        (
            "gcs",
            "credentials",
            json!({ "client_email": "a" }),
            "\"deliver.credentials.private_key\" is required",
        ),
        ("azure", "container", json!("ab"), "\"deliver.container\" must be 3 to 63"),
        ("azure", "container", json!("a--b"), "\"deliver.container\" must be 3 to 63"),
        (
            "azure",
            "credentials",
            json!({ "account": "me1" }),
            "\"deliver.credentials\" must have one of \"key\"",
        ),
        (
            "azure",
            "credentials",
            json!({ "account": "m.evil", "key": "x" }),
            "\"deliver.credentials.account\" must be",
        ),
        ("sftp", "path", json!("sftp://h/x"), "\"deliver.path\" must be the name or address"),
        ("sftp", "path", json!("h:2222"), "\"deliver.path\" must not have a port"),
        ("sftp", "port", json!(70_000), "\"deliver.port\" must be a number from 1 to 65535"),
        ("sftp", "directory", json!("../up"), "\"deliver.directory\" must not have"),
        ("sftp", "host_key", json!("ssh-ed25519 AAAA"), "\"deliver.host_key\" must be public keys"),
        ("sftp", "known_hosts", json!("h x y"), "\"deliver.known_hosts\" must be public keys"),
        (
            "sftp",
            "credentials",
            json!({ "username": "a" }),
            "\"deliver.credentials\" must have one of \"password\"",
        ),
        (
            "sftp",
            "credentials",
            json!({ "username": "a", "ssh_key": "x" }),
            "\"deliver.credentials.ssh_key\" must be a private key",
        ),
        (
            "sftp",
            "credentials",
            json!({ "username": "a", "password": "x", "passphrase": "y" }),
            "\"deliver.credentials.passphrase\" belongs",
        ),
        ("email", "address", json!("a@b\r\nBcc: c@d"), "\"deliver.address\" must be a valid email"),
        ("email", "filename", json!({ "extension": "exe" }), "\"deliver.filename.extension\" must be one of"),
        ("email", "filename", json!({ "template": "../x" }), "\"deliver.filename.template\" must not have"),
        (
            "email",
            "filename",
            json!({ "template": "" }),
            "\"deliver.filename.template\" is not allowed to be empty",
        ),
        ("email", "filename", json!([]), "\"deliver.filename\" must be an object"),
    ] {
        let mut deliver = good(kind);
        deliver[field] = value.clone();
        let said_so = fault(deliver);
        assert!(said_so.starts_with(said), "{kind}.{field} = {value}: {said_so}");
        assert!(!said_so.contains("hunter2"), "{said_so}");
    }
}

#[test]
fn host_keys_come_as_a_line_a_list_or_a_file() {
    let keys = |name: &str, value: Value| {
        let mut deliver = good("sftp");
        deliver.as_object_mut().unwrap().remove("host_key");
        deliver[name] = value;
        let Destination::Sftp { host_keys, .. } = promise(&deliver).unwrap().destination else { panic!() };
        host_keys
    };
    assert_eq!(keys("host_key", json!([HOST_KEY])), [HOST_KEY]);
    assert_eq!(keys("known_hosts", json!(format!("# mine\n[h.example]:2222 {HOST_KEY} x\n\n"))), [HOST_KEY]);
    assert_eq!(keys("host_key", json!(null)), Vec::<String>::new());
}

proptest! {
    #[test]
    fn no_object_panics(kind in 0..6_usize, field in "[a-z_]{0,12}", value in ".{0,40}") {
        let mut deliver = good(AVAILABLE[kind]);
        deliver[field] = json!(value);
        let _ = promise(&deliver);
    }
}
