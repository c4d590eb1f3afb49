//! A caller of our own API, for the demo: one request, one answer, on loopback.

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Who is called, and with what token.
pub(super) struct Caller {
    pub(super) address: String,
    pub(super) token: String,
}

impl Caller {
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, body.to_string()).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, String::new()).await
    }

    async fn ask(&self, method: &str, path: &str, body: String) -> Result<Value> {
        let stream = TcpStream::connect(&self.address).await.context("the server cannot be reached")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender; its error is the sender's too.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        drop(sender);
        driver.await?;
        if !status.is_success() {
            bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(&bytes));
        }
        serde_json::from_slice(&bytes).with_context(|| format!("{method} {path}: the answer is no JSON"))
    }
}
