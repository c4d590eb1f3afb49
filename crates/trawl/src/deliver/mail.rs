//! Files by mail, through the operator's own mail server.
//!
//! Owns: the settings' address of the server, what a mail looks like. The server is the operator's, so it is no stranger
//! and passes no guard; the recipient is only a line in what it is told.
//!
//! Invariant: a file of more than the bound is not held: the mail then says where to get it.

use super::{Body, Fault, Parcel};
use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A mail server that sends for us.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    attach_bytes_max: usize,
    /// Where callers reach the API, without a slash at its end; empty if the operator did not say.
    public_url: String,
}

/// What the operator says about mail.
#[derive(Clone)]
pub struct MailSettings {
    /// `smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`; `?tls=none` for neither.
    pub smtp_url: String,
    /// Who mails are from.
    pub from: String,
    /// Bytes of a file that is sent along.
    pub attach_bytes_max: u64,
    /// Where callers reach the API.
    pub public_url: String,
    /// For one mail.
    pub timeout: Duration,
}

impl Mailer {
    /// Reads the settings; connects only when there is a mail to send.
    pub fn new(settings: &MailSettings, extra_ca: Option<&Path>) -> Result<Self> {
        let from = settings.from.parse().context("`email.from` should be an address")?;
        Ok(Self {
            transport: transport(settings, extra_ca)?,
            from,
            attach_bytes_max: usize::try_from(settings.attach_bytes_max).unwrap_or(usize::MAX),
            public_url: settings.public_url.trim_end_matches('/').to_owned(),
        })
    }

    /// Sends a file, or where to get it.
    pub(super) async fn send(&self, to: &str, parcel: &Parcel<'_>, mut body: Body) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        let mut fits = true;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| Fault::later(error.to_string()))?;
            if bytes.len() + piece.len() > self.attach_bytes_max {
                fits = false;
                bytes = Vec::new();
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        drop(body);
        let (text, file) = match fits {
            true => (format!("{}\n\nThe file is attached.\n", parcel.about), Some(bytes)),
            false => (format!("{}\n\n{}\n", parcel.about, self.elsewhere(parcel)), None),
        };
        self.post(to, &parcel.about, &parcel.id, text, file.map(|bytes| (parcel, bytes))).await
    }

    /// Sends a line, to see whether it arrives.
    pub(super) async fn test(&self, to: &str, id: &str) -> Result<(), Fault> {
        let text = "This is a test of a delivery to this address. Nothing has to be done.\n";
        self.post(to, "Test of a delivery", id, text.to_owned(), None).await
    }

    fn elsewhere(&self, parcel: &Parcel<'_>) -> String {
        let most = self.attach_bytes_max >> 10;
        match self.public_url.as_str() {
            "" => {
                format!("The file is larger than {most} KiB: get it from the server at {}", parcel.download)
            }
            base => format!("The file is larger than {most} KiB: get it at {base}{}", parcel.download),
        }
    }

    async fn post(
        &self,
        to: &str,
        subject: &str,
        id: &str,
        text: String,
        file: Option<(&Parcel<'_>, Vec<u8>)>,
    ) -> Result<(), Fault> {
        let to: Mailbox =
            to.parse().map_err(|_| Fault::never(format!("`{to}` is no address that mail can go to")))?;
        // The same mail, sent again because an answer was lost, has the same id.
        let id = format!("<{id}@{}>", self.from.email.domain());
        let mail = Message::builder().from(self.from.clone()).to(to).subject(subject).message_id(Some(id));
        let text = SinglePart::plain(text);
        let mail = match file {
            None => mail.singlepart(text),
            Some((parcel, bytes)) => {
                let kind = ContentType::parse(parcel.content_type).unwrap_or(ContentType::TEXT_PLAIN);
                let name = parcel.name.rsplit('/').next().unwrap_or(parcel.name);
                let file = Attachment::new(name.to_owned()).body(bytes, kind);
                mail.multipart(MultiPart::mixed().singlepart(text).singlepart(file))
            }
        };
        let mail = mail.map_err(|error| Fault::never(format!("the mail cannot be made: {error}")))?;
        self.transport.send(mail).await.map(drop).map_err(|error| {
            let code = error.status().map(|code| code.to_string());
            // That the operator's login is wrong is the operator's to mend; that there is no such box is final.
            let login = code.as_deref().is_some_and(|code| matches!(code, "530" | "534" | "535"));
            Fault {
                error: format!("the mail was not taken: {}", told(&error)),
                again: !error.is_permanent() || login,
            }
        })
    }
}

/// An error and its cause; neither holds a credential.
fn told(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn transport(settings: &MailSettings, extra_ca: Option<&Path>) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    // The text is not shown: it has a password in it.
    let url = Url::parse(&settings.smtp_url).ok().context("`email.smtp_url` is no address")?;
    let host = url.host_str().filter(|host| !host.is_empty()).context("`email.smtp_url` names no host")?;
    let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, word)| word.into_owned());
    let parameters = || -> Result<TlsParameters> {
        let mut builder = TlsParameters::builder(host.to_owned());
        if let Some(path) = extra_ca {
            let pem = std::fs::read(path).with_context(|| format!("`{}`", path.display()))?;
            builder =
                builder.add_root_certificate(Certificate::from_pem(&pem).context("`deliver.extra_ca`")?);
        }
        builder.build().context("TLS for mail")
    };
    let (usual_port, tls) = match (url.scheme(), tls.as_deref()) {
        ("smtps", None | Some("required")) => (465, Tls::Wrapper(parameters()?)),
        ("smtp", None | Some("required")) => (587, Tls::Required(parameters()?)),
        ("smtp", Some("opportunistic")) => (587, Tls::Opportunistic(parameters()?)),
        ("smtp", Some("none")) => (25, Tls::None),
        ("smtp" | "smtps", Some(_)) => {
            bail!("`email.smtp_url`: `tls` should be `required`, `opportunistic` or `none`")
        }
        _ => bail!("`email.smtp_url` should begin with `smtp://` or `smtps://`"),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(url.port().unwrap_or(usual_port))
        .tls(tls)
        .hello_name(ClientId::default())
        .timeout(Some(settings.timeout));
    if !url.username().is_empty() {
        let plain = |text: &str| {
            url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
                .next()
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        builder = builder
            .credentials(Credentials::new(plain(url.username()), plain(url.password().unwrap_or_default())));
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(smtp_url: &str, from: &str) -> Result<Mailer> {
        let settings = MailSettings {
            smtp_url: smtp_url.into(),
            from: from.into(),
            attach_bytes_max: 1 << 20,
            public_url: "https://x.example/".into(),
            timeout: Duration::from_secs(1),
        };
        Mailer::new(&settings, None)
    }

    #[test]
    fn settings_are_read_or_refused_by_name_without_the_password() {
        for good in
            ["smtp://h", "smtps://u:p%40ss@h:465", "smtp://h:25?tls=none", "smtp://h?tls=opportunistic"]
        {
            assert!(made(good, "Trawl <a@b.example>").is_ok(), "{good}");
        }
        for (bad, from, word) in [
            ("h:25", "a@b", "`email.smtp_url`"),
            ("http://me:hunter2@h", "a@b", "`smtp://`"),
            ("smtp://me:hunter2@h?tls=maybe", "a@b", "`tls`"),
            ("smtps://me:hunter2@h?tls=none", "a@b", "`tls`"),
            ("smtp://", "a@b", "`email.smtp_url`"),
            ("smtp://me:hunter2@h", "nobody", "`email.from`"),
        ] {
            let error = made(bad, from).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(word) && !error.contains("hunter2"), "{bad}: {error}");
        }
    }
}
