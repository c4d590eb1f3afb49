//! Each type of destination and its fields. Pure.

use super::fields::Fields;
use super::{Result, without_login};
use crate::api::query::check_url;
use crate::deliver::{host_key, name, ssh_key};
use http::HeaderValue;
use model::{Destination, Sealed};
use serde_json::{Map, Value, json};

/// Port of SFTP.
const SFTP_PORT: u16 = 22;
/// Keys that a server may show.
const HOST_KEYS: usize = 20;
/// Characters of a private key, and of a list of host keys.
const KEY_CHARS: usize = 20_000;

pub(super) fn webhook(fields: &Fields<'_>) -> Result<Destination> {
    let endpoint = fields.needed("endpoint")?;
    check_url(endpoint).map_err(|fault| fields.fault("endpoint", &fault))?;
    let auth_header = fields.text("auth_header")?;
    if auth_header.is_some_and(|value| HeaderValue::from_str(value).is_err()) {
        return Err(fields.fault("auth_header", "must be a valid header value"));
    }
    let (endpoint, login) = without_login(endpoint);
    let auth_header = auth_header.map(Sealed::plain).or(login);
    Ok(Destination::Webhook { endpoint, auth_header, headers: Vec::new() })
}

pub(super) fn s3(fields: &Fields<'_>) -> Result<Destination> {
    let credentials = credentials(fields)?;
    if credentials.value("role_arn").is_some() || credentials.value("external_id").is_some() {
        return Err(fields.fault(
            "credentials.role_arn",
            ": roles are not available on this server, which has no AWS identity to assume one with; give \
             \"aws-access-key\" and \"aws-secret-key\" of a user that may write to the bucket",
        ));
    }
    let words = words(&credentials, &["aws-access-key", "aws-secret-key"], &[])?;
    let region = fields.text("region")?;
    if region.is_some_and(|region| {
        !made_of(region, 1..=40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }) {
        return Err(fields.fault("region", "must be a region such as us-east-1"));
    }
    Ok(Destination::S3 {
        bucket: bucket(fields)?,
        region: region.map(str::to_owned),
        directory: prefix(fields)?,
        endpoint_url: endpoint_url(fields)?,
        credentials: words,
    })
}

pub(super) fn gcs(fields: &Fields<'_>) -> Result<Destination> {
    let credentials = credentials(fields)?;
    credentials.only(&["client_email", "private_key"])?;
    let email = credentials.needed("client_email")?;
    let key = credentials.text_up_to("private_key", KEY_CHARS)?;
    // Copied out of a JSON file, its line ends may still be escaped.
    let key = key.ok_or_else(|| credentials.fault("private_key", "is required"))?.replace("\\n", "\n");
    if !key.trim_start().starts_with("-----BEGIN ") {
        return Err(credentials.fault("private_key", "must be the PEM text of a service account's key"));
    }
    Ok(Destination::Gcs {
        bucket: bucket(fields)?,
        directory: prefix(fields)?,
        endpoint_url: endpoint_url(fields)?,
        credentials: Sealed::plain(json!({ "client_email": email, "private_key": key }).to_string()),
    })
}

pub(super) fn azure(fields: &Fields<'_>) -> Result<Destination> {
    let container = fields.needed("container")?;
    let is_name = made_of(container, 3..=63, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !container.starts_with('-')
        && !container.ends_with('-')
        && !container.contains("--");
    if !is_name {
        return Err(fields.fault("container", "must be 3 to 63 of a-z, 0-9 and single hyphens between them"));
    }
    let credentials = credentials(fields)?;
    credentials.only(&["account", "key", "sas_token"])?;
    let account = credentials.needed("account")?;
    if !made_of(account, 3..=24, |c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Err(credentials.fault("account", "must be 3 to 24 of a-z and 0-9"));
    }
    let secret = match (credentials.text("key")?, credentials.text("sas_token")?) {
        (Some(_), None) => "key",
        (None, Some(_)) => "sas_token",
        _ => return Err(fields.fault("credentials", "must have one of \"key\" and \"sas_token\"")),
    };
    Ok(Destination::Azure {
        container: container.to_owned(),
        directory: prefix(fields)?,
        endpoint_url: endpoint_url(fields)?,
        credentials: words(&credentials, &["account", secret], &[])?,
    })
}

pub(super) fn sftp(fields: &Fields<'_>) -> Result<Destination> {
    let host = fields.needed("path")?;
    // Names, IPv4 and IPv6; neither a URL nor a folder.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if !made_of(bare, 1..=253, |c| c.is_ascii_alphanumeric() || ".-_:".contains(c)) {
        return Err(fields.fault("path", "must be the name or address of the server"));
    }
    if bare.contains(':') && bare.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(fields.fault("path", "must not have a port: give it as \"deliver.port\""));
    }
    let port = match fields.value("port") {
        None => SFTP_PORT,
        Some(value) => {
            let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            let port = number.and_then(|n| u16::try_from(n).ok()).filter(|port| *port > 0);
            port.ok_or_else(|| fields.fault("port", "must be a number from 1 to 65535"))?
        }
    };
    let directory = match fields.text("directory")? {
        None => None,
        Some("/") => Some("/".to_owned()),
        Some(text) => {
            let text = text.strip_suffix('/').unwrap_or(text);
            if let Some(fault) = name::fault(text, true) {
                return Err(fields.fault("directory", fault));
            }
            Some(text.to_owned())
        }
    };
    let credentials = credentials(fields)?;
    credentials.only(&["username", "password", "ssh_key", "passphrase"])?;
    let secret = match (credentials.text("password")?, credentials.text_up_to("ssh_key", KEY_CHARS)?) {
        (Some(_), None) if credentials.value("passphrase").is_none() => "password",
        (Some(_), None) => return Err(credentials.fault("passphrase", "belongs to \"ssh_key\"")),
        (None, Some(key)) => {
            let has_passphrase = credentials.text("passphrase")?.is_some();
            if let Some(fault) = ssh_key::fault(key, has_passphrase) {
                return Err(credentials.fault("ssh_key", fault));
            }
            "ssh_key"
        }
        _ => return Err(fields.fault("credentials", "must have one of \"password\" and \"ssh_key\"")),
    };
    Ok(Destination::Sftp {
        host: bare.to_owned(),
        port,
        directory,
        host_keys: host_keys(fields)?,
        credentials: words(&credentials, &["username", secret], &["passphrase"])?,
    })
}

pub(super) fn email(fields: &Fields<'_>) -> Result<Destination> {
    let address = fields.needed("address")?;
    if address.len() > 254 || address.parse::<lettre::Address>().is_err() {
        return Err(fields.fault("address", "must be a valid email"));
    }
    Ok(Destination::Email { address: address.to_owned() })
}

fn credentials<'a>(fields: &Fields<'a>) -> Result<Fields<'a>> {
    fields.inner("credentials")?.ok_or_else(|| fields.fault("credentials", "is required"))
}

/// Credentials of exactly these words, those of `more` if they are there.
fn words(credentials: &Fields<'_>, needed: &[&str], more: &[&str]) -> Result<Sealed> {
    credentials.only(&[needed, more].concat())?;
    let mut words = Map::new();
    for name in needed.iter().chain(more) {
        match credentials.text_up_to(name, KEY_CHARS)? {
            Some(text) => drop(words.insert((*name).to_owned(), json!(text))),
            None if needed.contains(name) => return Err(credentials.fault(name, "is required")),
            None => {}
        }
    }
    Ok(Sealed::plain(Value::Object(words).to_string()))
}

fn bucket(fields: &Fields<'_>) -> Result<String> {
    let bucket = fields.needed("bucket")?;
    let inside = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !made_of(bucket, 3..=222, inside) || !edge(bucket.chars().next()) || !edge(bucket.chars().next_back())
    {
        return Err(
            fields.fault("bucket", "must be the name of a bucket: letters, digits and . _ - between them")
        );
    }
    Ok(bucket.to_owned())
}

/// What the names of objects begin with, without slashes at its ends.
fn prefix(fields: &Fields<'_>) -> Result<Option<String>> {
    let Some(text) = fields.text("directory")? else { return Ok(None) };
    let text = text.strip_prefix('/').unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() {
        return Ok(None);
    }
    match name::fault(text, false) {
        Some(fault) => Err(fields.fault("directory", fault)),
        None => Ok(Some(text.to_owned())),
    }
}

fn endpoint_url(fields: &Fields<'_>) -> Result<Option<String>> {
    let Some(text) = fields.text("endpoint_url")? else { return Ok(None) };
    check_url(text).map_err(|fault| fields.fault("endpoint_url", &fault))?;
    let plain = url::Url::parse(text).is_ok_and(|url| {
        url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !plain {
        return Err(fields.fault("endpoint_url", "must have neither credentials nor a query"));
    }
    Ok(Some(text.to_owned()))
}

/// `host_key` (a line or a list of them) and `known_hosts` (the text of such a file).
fn host_keys(fields: &Fields<'_>) -> Result<Vec<String>> {
    const FORM: &str = "must be public keys (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`)";
    let mut keys = Vec::new();
    let mut take = |name: &str, text: &str| -> Result<()> {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            keys.push(host_key::read_line(line).ok_or_else(|| fields.fault(name, FORM))?);
            if keys.len() > HOST_KEYS {
                return Err(fields.fault(name, &format!("must not name more than {HOST_KEYS} keys")));
            }
        }
        Ok(())
    };
    match fields.value("host_key") {
        Some(Value::Array(lines)) if lines.len() <= HOST_KEYS => {
            for line in lines {
                take("host_key", line.as_str().ok_or_else(|| fields.fault("host_key", FORM))?)?;
            }
        }
        Some(Value::Array(_)) => {
            return Err(fields.fault("host_key", &format!("must not name more than {HOST_KEYS} keys")));
        }
        _ => take("host_key", fields.text_up_to("host_key", KEY_CHARS)?.unwrap_or_default())?,
    }
    take("known_hosts", fields.text_up_to("known_hosts", KEY_CHARS)?.unwrap_or_default())?;
    Ok(keys)
}

fn made_of(text: &str, length: std::ops::RangeInclusive<usize>, mut of: impl FnMut(char) -> bool) -> bool {
    length.contains(&text.len()) && text.chars().all(&mut of)
}
