//! Messages from and to bytes (RFC 9112), over a stream with a buffer.

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

use super::{Headers, Request, Response};

/// Far above what any test sends.
const MAX_HEAD: usize = 128 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;
const MAX_FIELDS: usize = 128;

/// A stream and the bytes that were read from it but not yet used.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// How long a message's content is.
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Small messages that wait for an acknowledgement would be measured as slowness of what is tested.
        let _ = stream.set_nodelay(true);
        Self { stream, buffer: Vec::new() }
    }

    /// Reads more; `false` at the end of the stream.
    async fn fill(&mut self) -> Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Reads up to and with the empty line after the fields; `None` when the stream ends before the first byte.
    async fn head(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Ok(Some(self.buffer.drain(..at + 4).collect()));
            }
            ensure!(self.buffer.len() <= MAX_HEAD, "a message head above {MAX_HEAD} bytes");
            if !self.fill().await? {
                ensure!(self.buffer.is_empty(), "the connection ended within a message head");
                return Ok(None);
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        ensure!(length <= MAX_BODY, "a body above {MAX_BODY} bytes");
        while self.buffer.len() < length {
            ensure!(self.fill().await?, "the connection ended within a body");
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|bytes| bytes == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            ensure!(self.buffer.len() <= MAX_BODY && self.fill().await?, "the connection ended within a chunk");
        }
    }

    async fn body(&mut self, framing: Framing) -> Result<Vec<u8>> {
        match framing {
            Framing::Length(length) => self.take(length).await,
            Framing::UntilClose => {
                while self.fill().await? {
                    ensure!(self.buffer.len() <= MAX_BODY, "a body above {MAX_BODY} bytes");
                }
                Ok(std::mem::take(&mut self.buffer))
            }
            Framing::Chunked => {
                let mut body = Vec::new();
                loop {
                    let line = self.line().await?;
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(size, 16).with_context(|| format!("chunk size {line:?}"))?;
                    if size == 0 {
                        while !self.line().await?.is_empty() {}
                        return Ok(body);
                    }
                    body.extend(self.take(size).await?);
                    ensure!(body.len() <= MAX_BODY, "a body above {MAX_BODY} bytes");
                    ensure!(self.line().await?.is_empty(), "a chunk longer than its size");
                }
            }
        }
    }

    /// The next request; `None` when the peer closed the connection between two.
    pub(crate) async fn read_request(&mut self) -> Result<Option<Request>> {
        let Some(head) = self.head().await? else {
            return Ok(None);
        };
        // The request line is taken apart by hand: a parser would refuse some of the targets that tests are about.
        let end = head.windows(2).position(|bytes| bytes == b"\r\n").context("a request line")?;
        let (line, fields) = head.split_at(end);
        let first = line.iter().position(|&byte| byte == b' ').context("a method")?;
        let last = line.iter().rposition(|&byte| byte == b' ').filter(|&at| at > first).context("a version")?;
        let mut request = Request::new(std::str::from_utf8(&line[..first])?, &line[first + 1..last]);
        request.headers = parse_fields(&fields[2..])?;
        let framing = framing(&request.headers)?.unwrap_or(Framing::Length(0));
        if request.headers.first("expect").is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        request.body = self.body(framing).await?;
        Ok(Some(request))
    }

    /// The response to a request with this method.
    pub(crate) async fn read_response(&mut self, method: &str) -> Result<Response> {
        loop {
            let head = self.head().await?.context("the connection ended before the response")?;
            let end = head.windows(2).position(|bytes| bytes == b"\r\n").context("a status line")?;
            let line = std::str::from_utf8(&head[..end])?;
            let status: u16 = line.split(' ').nth(1).context("a status code")?.parse()?;
            if status / 100 == 1 {
                continue; // interim responses (RFC 9110, section 15.2) come before the one that is meant
            }
            let headers = parse_fields(&head[end + 2..])?;
            let empty = method == "HEAD" || status == 204 || status == 304;
            let framing = if empty { Framing::Length(0) } else { framing(&headers)?.unwrap_or(Framing::UntilClose) };
            let body = self.body(framing).await?;
            return Ok(Response { status, headers, body });
        }
    }

    pub(crate) async fn write_request(&mut self, request: &Request) -> Result<()> {
        let mut bytes = Vec::with_capacity(512 + request.body.len());
        bytes.extend(request.method.as_bytes());
        bytes.push(b' ');
        bytes.extend(&request.target);
        bytes.extend(b" HTTP/1.1\r\n");
        if request.headers.first("host").is_none() {
            bytes.extend(format!("host: {}\r\n", self.stream.peer_addr()?).bytes());
        }
        let length = !request.body.is_empty() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
        finish(&mut bytes, &request.headers, &request.body, length);
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Waits until the peer has closed the connection; for ever while it sends something else.
    pub(crate) async fn is_left(&self) {
        if matches!(self.stream.peek(&mut [0]).await, Ok(1..)) {
            std::future::pending::<()>().await;
        }
    }

    /// A response in pieces, each as it comes: chunks where no length is stated. Fails as soon as the peer has gone.
    pub(crate) async fn write_stream(&mut self, length: Option<usize>, mut pieces: mpsc::Receiver<Vec<u8>>) -> Result<()> {
        let framing = length.map_or_else(|| "transfer-encoding: chunked".to_owned(), |length| format!("content-length: {length}"));
        self.stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes()).await?;
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                () = self.is_left() => bail!("the peer has gone"),
            };
            let Some(piece) = piece else { break };
            if length.is_some() {
                self.stream.write_all(&piece).await?;
            } else {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
                self.stream.write_all(&chunk).await?;
            }
        }
        if length.is_none() {
            self.stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(())
    }

    pub(crate) async fn write_response(&mut self, response: &Response, head_only: bool) -> Result<()> {
        let mut bytes = Vec::with_capacity(512 + response.body.len());
        bytes.extend(format!("HTTP/1.1 {} {}\r\n", response.status, if response.status == 200 { "OK" } else { "" }).bytes());
        let body: &[u8] = if head_only { &[] } else { &response.body };
        finish(&mut bytes, &response.headers, body, !head_only && response.status != 204);
        Ok(self.stream.write_all(&bytes).await?)
    }
}

fn finish(bytes: &mut Vec<u8>, headers: &Headers, body: &[u8], length: bool) {
    for (name, value) in &headers.0 {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    let framed = headers.first("content-length").is_some() || headers.first("transfer-encoding").is_some();
    if length && !framed {
        bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
}

fn parse_fields(bytes: &[u8]) -> Result<Headers> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let httparse::Status::Complete((_, fields)) = httparse::parse_headers(bytes, &mut fields)? else {
        bail!("header fields without an end");
    };
    let owned = fields.iter().map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()));
    Ok(Headers(owned.collect()))
}

/// RFC 9112, section 6.3, without the tolerance.
fn framing(headers: &Headers) -> Result<Option<Framing>> {
    match (headers.first("transfer-encoding"), headers.first("content-length")) {
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
        (None, Some(length)) => Ok(Some(Framing::Length(length.trim().parse()?))),
        (None, None) => Ok(None),
        other => bail!("unclear framing: {other:?}"),
    }
}
