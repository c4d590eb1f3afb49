//! The `deliver` object (api.md 8.3) → a promise. Pure.

use super::error::{ApiError, Result};
use super::query::check_url;
use http::HeaderValue;
use model::{Destination, Format, Promise};
use serde_json::{Map, Value};

/// Documented destinations.
pub(super) const TYPES: &[&str] =
    &["webhook", "s3", "gcs", "gcp_pubsub", "azure", "sftp", "snowflake", "ali_oss", "email", "build"];
/// Characters of a file name's template.
const TEMPLATE_CHARS: usize = 500;

/// Reads a `deliver` object; every field's fault names the field.
pub(super) fn promise(deliver: &Value) -> Result<Promise> {
    let Value::Object(deliver) = deliver else {
        return Err(ApiError::option("\"deliver\" must be an object"));
    };
    let kind = match deliver.get("type") {
        None | Some(Value::Null) => return Err(ApiError::option("\"deliver.type\" is required")),
        Some(kind) => kind.as_str().unwrap_or_default(),
    };
    if !TYPES.contains(&kind) {
        return Err(ApiError::option(format!("\"deliver.type\" must be one of [{}]", TYPES.join(", "))));
    }
    if kind != "webhook" {
        return Err(ApiError::option(format!(
            "\"deliver.type\": {kind} is not available on this server yet; use webhook"
        )));
    }
    let endpoint =
        text(deliver, "endpoint")?.ok_or_else(|| ApiError::option("\"deliver.endpoint\" is required"))?;
    check_url(endpoint).map_err(|fault| ApiError::option(format!("\"deliver.endpoint\" {fault}")))?;
    let auth_header = text(deliver, "auth_header")?;
    if auth_header.is_some_and(|value| HeaderValue::from_str(value).is_err()) {
        return Err(ApiError::option("\"deliver.auth_header\" must be a valid header value"));
    }
    let compress = match deliver.get("compress") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(compress)) => *compress,
        Some(_) => return Err(ApiError::option("\"deliver.compress\" must be a boolean")),
    };
    let (file_template, format) = filename(deliver)?;
    Ok(Promise {
        destination: Destination::Webhook {
            endpoint: endpoint.to_owned(),
            auth_header: auth_header.map(str::to_owned),
            headers: Vec::new(),
        },
        format,
        compress,
        batch_size: None,
        stream: false,
        file_template,
        notify: None,
    })
}

fn text<'a>(deliver: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match deliver.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(ApiError::option(format!("\"deliver.{name}\" must be a string"))),
    }
}

/// Template and format of `filename`, which webhooks may leave out.
fn filename(deliver: &Map<String, Value>) -> Result<(Option<String>, Format)> {
    let filename = match deliver.get("filename") {
        None | Some(Value::Null) => return Ok((None, Format::default())),
        Some(Value::Object(filename)) => filename,
        Some(_) => return Err(ApiError::option("\"deliver.filename\" must be an object")),
    };
    let template = match filename.get("template") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if (1..=TEMPLATE_CHARS).contains(&text.chars().count()) => {
            Some(text.clone())
        }
        Some(_) => return Err(ApiError::option("\"deliver.filename.template\" must be a string")),
    };
    let format = match filename.get("extension") {
        None | Some(Value::Null) => Format::default(),
        Some(extension) => {
            let extension = extension.as_str().unwrap_or_default();
            Format::parse(extension).ok_or_else(|| {
                let known: Vec<&str> = Format::ALL.iter().map(|f| f.as_str()).collect();
                ApiError::option(format!(
                    "\"deliver.filename.extension\" must be one of [{}]",
                    known.join(", ")
                ))
            })?
        }
    };
    Ok((template, format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fault(deliver: Value) -> String {
        promise(&deliver).unwrap_err().body()["error"].as_str().unwrap().to_owned()
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
        let Destination::Webhook { endpoint, auth_header, .. } = read.destination;
        assert_eq!((endpoint.as_str(), auth_header.as_deref()), ("https://a.example/x", Some("Token 1")));
    }

    #[test]
    fn faults_name_their_field() {
        assert_eq!(fault(json!([])), "\"deliver\" must be an object");
        assert_eq!(fault(json!({})), "\"deliver.type\" is required");
        assert!(fault(json!({ "type": "ftp" })).starts_with("\"deliver.type\" must be one of [webhook, s3"));
        assert!(fault(json!({ "type": "s3" })).contains("s3 is not available on this server yet"));
        assert_eq!(fault(json!({ "type": "webhook" })), "\"deliver.endpoint\" is required");
        assert!(
            fault(json!({ "type": "webhook", "endpoint": "file:///etc" }))
                .starts_with("\"deliver.endpoint\"")
        );
        let extension =
            json!({ "type": "webhook", "endpoint": "http://a/", "filename": { "extension": "doc" } });
        assert!(fault(extension).contains("must be one of [json, ndjson, jsonl, csv, parquet, xlsx]"));
    }
}
