//! Where a delivery goes.

use crate::Sealed;
use serde::{Deserialize, Serialize};

/// Where rows go. Its `Debug` shows no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Destination {
    /// An HTTP POST per part.
    Webhook {
        /// Receiver, `http` or `https`, without credentials.
        endpoint: String,
        /// Value of `Authorization`, verbatim.
        #[serde(default)]
        auth_header: Option<Sealed>,
        /// Further header lines: name and value.
        #[serde(default)]
        headers: Vec<(String, Sealed)>,
    },
    /// A file per part in Amazon S3, or in a store that speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// Its region.
        #[serde(default)]
        region: Option<String>,
        /// What keys begin with, without slashes at its ends.
        #[serde(default)]
        directory: Option<String>,
        /// The store, if it is not Amazon's.
        #[serde(default)]
        endpoint_url: Option<String>,
        /// JSON: `aws-access-key`, `aws-secret-key`.
        credentials: Sealed,
    },
    /// A file per part in Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What names begin with, without slashes at its ends.
        #[serde(default)]
        directory: Option<String>,
        /// The store, if it is not Google's own address.
        #[serde(default)]
        endpoint_url: Option<String>,
        /// JSON: `client_email`, `private_key`.
        credentials: Sealed,
    },
    /// A file per part in Azure Blob Storage.
    Azure {
        /// The container.
        container: String,
        /// What names begin with, without slashes at its ends.
        #[serde(default)]
        directory: Option<String>,
        /// The store, if it is not the account's usual address.
        #[serde(default)]
        endpoint_url: Option<String>,
        /// JSON: `account`, and `key` or `sas_token`.
        credentials: Sealed,
    },
    /// A file per part on a server that speaks SFTP.
    Sftp {
        /// Its name or address (the documented field is called `path`).
        host: String,
        /// Its port.
        port: u16,
        /// The folder; from the root if it begins with a slash, else from where the login leads.
        #[serde(default)]
        directory: Option<String>,
        /// Public keys that the server may show, as lines of OpenSSH or fingerprints (`SHA256:…`). Empty: the one it
        /// showed first.
        #[serde(default)]
        host_keys: Vec<String>,
        /// JSON: `username`, and `password` or `ssh_key` with `passphrase`.
        credentials: Sealed,
    },
    /// A mail per part, with the file, or with the address to get it at.
    Email {
        /// Whom to.
        address: String,
    },
}

impl Destination {
    /// The word of its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::S3 { .. } => "s3",
            Self::Gcs { .. } => "gcs",
            Self::Azure { .. } => "azure",
            Self::Sftp { .. } => "sftp",
            Self::Email { .. } => "email",
        }
    }

    /// For people: where it is, without anything that opens it.
    pub fn place(&self) -> String {
        let under = |directory: &Option<String>| match directory {
            Some(directory) if directory.starts_with('/') => directory.clone(),
            Some(directory) => format!("/{directory}"),
            None => String::new(),
        };
        match self {
            // What stands behind the path may be a token.
            Self::Webhook { endpoint, .. } => match url::Url::parse(endpoint) {
                Ok(mut url) => {
                    if url.query().is_some() {
                        url.set_query(Some("***"));
                    }
                    let (_, _) = (url.set_username(""), url.set_password(None));
                    url.to_string()
                }
                Err(_) => "webhook".to_owned(),
            },
            Self::S3 { bucket, directory, endpoint_url, .. } => {
                let store = endpoint_url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
                format!("s3://{bucket}{}{store}", under(directory))
            }
            Self::Gcs { bucket, directory, .. } => format!("gs://{bucket}{}", under(directory)),
            Self::Azure { container, directory, .. } => format!("azure://{container}{}", under(directory)),
            Self::Sftp { host, port, directory, .. } => format!("sftp://{host}:{port}{}", under(directory)),
            Self::Email { address } => format!("mailto:{address}"),
        }
    }

    /// Its credentials, to be sealed.
    pub fn credentials_mut(&mut self) -> Vec<&mut Sealed> {
        match self {
            Self::Webhook { auth_header, headers, .. } => {
                auth_header.iter_mut().chain(headers.iter_mut().map(|(_, value)| value)).collect()
            }
            Self::S3 { credentials, .. }
            | Self::Gcs { credentials, .. }
            | Self::Azure { credentials, .. }
            | Self::Sftp { credentials, .. } => vec![credentials],
            Self::Email { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_of_an_old_row_is_read() {
        let row =
            r#"{"type":"webhook","endpoint":"http://h/","auth_header":"Token","headers":[["x-a","1"]]}"#;
        let read: Destination = serde_json::from_str(row).unwrap();
        let Destination::Webhook { auth_header, headers, .. } = &read else { panic!("{read:?}") };
        assert_eq!(auth_header, &Some(Sealed::stored("Token")));
        assert_eq!(headers, &[("x-a".to_owned(), Sealed::stored("1"))]);
        assert_eq!(serde_json::to_string(&read).unwrap(), row);
    }

    #[test]
    fn places_and_debug_show_no_credentials() {
        let mut webhook = Destination::Webhook {
            endpoint: "https://me:hunter2@h/x?token=hunter2".into(),
            auth_header: Some(Sealed::plain("hunter2")),
            headers: vec![("x-key".into(), Sealed::plain("hunter2"))],
        };
        assert_eq!(webhook.place(), "https://h/x?***");
        assert_eq!(webhook.credentials_mut().len(), 2);
        let sftp = Destination::Sftp {
            host: "h".into(),
            port: 22,
            directory: Some("/in".into()),
            host_keys: Vec::new(),
            credentials: Sealed::plain("hunter2"),
        };
        assert_eq!(sftp.place(), "sftp://h:22/in");
        assert!(!format!("{sftp:?}").contains("hunter2"));
    }
}
