//! A small HTTP/1.1 caller for the benchmarks: one connection, requests one after the other, bodies streamed both ways.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One connection to a server.
pub(super) struct Caller {
    address: String,
    token: String,
    stream: BufReader<TcpStream>,
}

/// The head of an answer, and what its body came to.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// From the last byte of the request to the first of the answer's body.
    pub(super) first_byte: Duration,
    /// Bytes of the body, kept or not.
    pub(super) bytes: u64,
}

impl Answer {
    pub(super) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }
}

impl Caller {
    pub(super) fn new(address: &str, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self {
            address: address.to_owned(),
            token: token.to_owned(),
            stream: BufReader::with_capacity(1 << 18, stream),
        })
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "", &[], true)
    }

    /// Reads the body and throws it away.
    pub(super) fn drain(&mut self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "", &[], false)
    }

    pub(super) fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> Result<Answer> {
        self.ask("POST", path, content_type, body, true)
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
        keep: bool,
    ) -> Result<Answer> {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n",
            self.address, self.token
        );
        if method == "POST" {
            head.push_str(&format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let out = self.stream.get_mut();
        out.write_all(head.as_bytes())?;
        out.write_all(body)?;
        let asked = Instant::now();
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status line")?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                None => break,
                Some(("content-length", n)) => length = n.trim().parse::<u64>().ok(),
                Some(("transfer-encoding", v)) => chunked = v.contains("chunked"),
                Some(_) => {}
            }
        }
        let mut answer = Answer { status, body: Vec::new(), first_byte: Duration::ZERO, bytes: 0 };
        if chunked {
            loop {
                let size = self.line()?;
                let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
                    .context("chunk size")?;
                self.take(size, &mut answer, keep, asked)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.take(length.unwrap_or(0), &mut answer, keep, asked)?;
        }
        Ok(answer)
    }

    fn take(&mut self, mut left: u64, answer: &mut Answer, keep: bool, asked: Instant) -> Result<()> {
        while left > 0 {
            let piece = self.stream.fill_buf()?;
            if piece.is_empty() {
                bail!("the server closed the connection within a body");
            }
            if answer.bytes == 0 {
                answer.first_byte = asked.elapsed();
            }
            let n = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if keep {
                answer.body.extend_from_slice(&piece[..n]);
            }
            self.stream.consume(n);
            left -= n as u64;
            answer.bytes += n as u64;
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.by_ref().take(1 << 16).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            bail!("the server closed the connection");
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Triggers and waits for the end; gives the snapshot's id and its last progress.
    pub(super) fn job(
        &mut self,
        query: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<(String, serde_json::Value)> {
        let id = self.trigger(query, content_type, body)?;
        loop {
            let progress = self.get(&format!("/datasets/v3/progress/{id}?wait=30"))?.json()?;
            match progress["status"].as_str() {
                Some("running") => {}
                Some("ready") => return Ok((id, progress)),
                _ => bail!("the job ended as {progress}"),
            }
        }
    }

    pub(super) fn trigger(&mut self, query: &str, content_type: &str, body: &[u8]) -> Result<String> {
        let answer = self.post(&format!("/datasets/v3/trigger?{query}"), content_type, body)?;
        let json = answer.json()?;
        json["snapshot_id"]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("trigger answered {}: {json}", answer.status))
    }
}
