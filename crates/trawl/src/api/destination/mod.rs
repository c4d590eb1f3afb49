//! The `deliver` object (api.md 8.3) → a promise. Pure.
//!
//! Invariants: every field's fault names the field; a credential has no keys but the documented ones; what comes out holds
//! its credentials plain, to be sealed before anything is stored.

mod fields;
mod kinds;

use super::error::{ApiError, Result};
use crate::deliver::name;
use fields::Fields;
use model::{Destination, Format, Promise, Sealed};
use serde_json::{Value, json};

/// Documented destinations.
pub(super) const TYPES: &[&str] =
    &["webhook", "s3", "gcs", "gcp_pubsub", "azure", "sftp", "snowflake", "ali_oss", "email", "build"];
/// Those that are here.
pub(super) const AVAILABLE: &[&str] = &["webhook", "s3", "gcs", "azure", "sftp", "email"];
/// What is shown in place of a credential.
const SECRET: &str = "***";

/// Reads a `deliver` object.
pub(super) fn promise(deliver: &Value) -> Result<Promise> {
    let fields = Fields::of(deliver, "deliver")?;
    let kind = fields.text("type")?.unwrap_or_default();
    if kind.is_empty() {
        return Err(fields.fault("type", "is required"));
    }
    if !TYPES.contains(&kind) {
        return Err(fields.fault("type", &format!("must be one of [{}]", TYPES.join(", "))));
    }
    let destination = match kind {
        "webhook" => kinds::webhook(&fields)?,
        "s3" => kinds::s3(&fields)?,
        "gcs" => kinds::gcs(&fields)?,
        "azure" => kinds::azure(&fields)?,
        "sftp" => kinds::sftp(&fields)?,
        "email" => kinds::email(&fields)?,
        other => {
            let here = AVAILABLE.join(", ");
            return Err(ApiError::option(format!(
                "\"deliver.type\": {other} is not available on this server; available are {here}"
            )));
        }
    };
    let (file_template, format) = filename(&fields)?;
    Ok(Promise {
        destination,
        format,
        compress: fields.flag("compress")?,
        batch_size: None,
        stream: false,
        file_template,
        notify: None,
    })
}

/// Template and format of `filename`. The documentation wants it always; it may be left out.
fn filename(deliver: &Fields<'_>) -> Result<(Option<String>, Format)> {
    let Some(filename) = deliver.inner("filename")? else { return Ok((None, Format::default())) };
    let template = filename.text("template")?;
    if let Some(fault) = template.and_then(|template| name::fault(template, false)) {
        return Err(filename.fault("template", fault));
    }
    let format = match filename.text("extension")? {
        None => Format::default(),
        Some(extension) => Format::parse(extension).ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            filename.fault("extension", &format!("must be one of [{}]", known.join(", ")))
        })?,
    };
    Ok((template.map(str::to_owned), format))
}

/// A receiver's address without the user and password that may stand in it, and the `Authorization` that they mean.
pub(super) fn without_login(endpoint: &str) -> (String, Option<Sealed>) {
    match url::Url::parse(endpoint) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let login = fetch::basic_authorization(&url).map(Sealed::plain);
            // Addresses with a host, which all receivers have, can lose both.
            let (_, _) = (url.set_username(""), url.set_password(None));
            (url.to_string(), login)
        }
        _ => (endpoint.to_owned(), None),
    }
}

/// A promise as its maker wrote it, with the credentials blotted out.
pub(super) fn shown(promise: &Promise) -> Value {
    let mut deliver = json!({ "type": promise.destination.kind() });
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            deliver[name] = value;
        }
    };
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    match &promise.destination {
        Destination::Webhook { endpoint, auth_header, .. } => {
            put("endpoint", Some(json!(endpoint)));
            put("auth_header", auth_header.as_ref().map(|_| json!(SECRET)));
        }
        Destination::S3 { bucket, region, directory, endpoint_url, .. } => {
            put("bucket", Some(json!(bucket)));
            put("region", text(region));
            put("directory", text(directory));
            put("endpoint_url", text(endpoint_url));
            put("credentials", Some(json!(SECRET)));
        }
        Destination::Gcs { bucket, directory, endpoint_url, .. } => {
            put("bucket", Some(json!(bucket)));
            put("directory", text(directory));
            put("endpoint_url", text(endpoint_url));
            put("credentials", Some(json!(SECRET)));
        }
        Destination::Azure { container, directory, endpoint_url, .. } => {
            put("container", Some(json!(container)));
            put("directory", text(directory));
            put("endpoint_url", text(endpoint_url));
            put("credentials", Some(json!(SECRET)));
        }
        Destination::Sftp { host, port, directory, host_keys, .. } => {
            put("path", Some(json!(host)));
            put("port", Some(json!(port)));
            put("directory", text(directory));
            put("host_key", (!host_keys.is_empty()).then(|| json!(host_keys)));
            put("credentials", Some(json!(SECRET)));
        }
        Destination::Email { address } => put("address", Some(json!(address))),
    }
    let mut filename = json!({ "extension": promise.format.as_str() });
    if let Some(template) = &promise.file_template {
        filename["template"] = json!(template);
    }
    put("filename", Some(filename));
    put("compress", Some(json!(promise.compress)));
    deliver
}

#[cfg(test)]
mod tests;
