//! The byte stream of a connection. It begins with bytes that were read to recognize the protocol, and
//! reports what it does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;

/// What a client of HTTP/2 sends first.
///
/// Source: RFC 9113, section 3.4.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The byte stream of a connection.
pub(super) struct Stream {
    /// Bytes that were read and that nobody has consumed.
    start: Vec<u8>,
    tcp: TcpStream,
    activity: Arc<Activity>,
}

impl Stream {
    /// Reads until the protocol of a connection is known. Returns the stream, from its start, and
    /// whether the protocol is HTTP/2.
    ///
    /// # Errors
    /// If the connection fails.
    pub(super) async fn recognize(
        mut tcp: TcpStream,
        activity: Arc<Activity>,
    ) -> io::Result<(Self, bool)> {
        let mut start = Vec::with_capacity(HTTP2_PREFACE.len());
        while start.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&start) {
            let missing = HTTP2_PREFACE.len() - start.len();
            if (&mut tcp).take(missing as u64).read_buf(&mut start).await? == 0 {
                break;
            }
            activity.received();
        }
        let is_http2 = start == HTTP2_PREFACE;
        if is_http2 {
            activity.set_http2();
        }
        Ok((Self { start, tcp, activity }, is_http2))
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Pending => self.activity.write_blocked(),
            Poll::Ready(Ok(bytes)) => self.activity.written(*bytes),
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.start.is_empty() {
            let length = self.start.len().min(buffer.remaining());
            buffer.put_slice(&self.start[..length]);
            self.start.drain(..length);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
