//! What is answered: a status, and a text that is there or that is written while it is sent.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    io::{self, Write},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Content type of plain text.
const TEXT: &str = "text/plain; charset=UTF-8";
/// Content type of JSON.
const JSON: &str = "application/json";
/// Bytes of one piece of a text that is written while it is sent.
const PIECE_BYTES: usize = 32 << 10;
/// Pieces that may wait for a slow reader.
const PIECES_AHEAD: usize = 2;

/// The body of a response.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Writes a text.
type Writer = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// An answer.
pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    content: Content,
}

enum Content {
    Whole(Bytes),
    Written(Writer),
}

impl Reply {
    /// A text.
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: TEXT,
            content: Content::Whole(text.into()),
        }
    }

    /// Envoy's answer to an order.
    pub(super) fn ok() -> Self {
        Self::text("OK\n")
    }

    /// A refusal, with its reason.
    pub(super) fn refuse(status: StatusCode, why: impl Into<String>) -> Self {
        let mut why = why.into();
        why.push('\n');
        Self {
            status,
            ..Self::text(why)
        }
    }

    /// A text that somebody else wrote, with its status.
    pub(super) fn with_status(status: StatusCode, text: Bytes) -> Self {
        Self {
            status,
            ..Self::text(text)
        }
    }

    /// A request that can't be understood.
    pub(super) fn bad_request(why: impl Into<String>) -> Self {
        Self::refuse(StatusCode::BAD_REQUEST, why)
    }

    /// JSON that is there already.
    pub(super) fn json(value: &serde_json::Value) -> Self {
        let mut text = Vec::new();
        match pretty(value, &mut text) {
            Ok(()) => Self {
                content_type: JSON,
                ..Self::text(text)
            },
            Err(error) => Self::refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    /// JSON that `write` writes, on a thread that may block.
    pub(super) fn json_writer(
        write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self::writer(JSON, write)
    }

    /// A text that `write` writes, on a thread that may block.
    pub(super) fn writer(
        content_type: &'static str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            content: Content::Written(Box::new(write)),
        }
    }

    /// The response. To be called inside a runtime.
    pub(super) fn into_response(self) -> http::Response<Body> {
        let body = match self.content {
            Content::Whole(text) => Full::new(text).boxed_unsync(),
            Content::Written(write) => written(write),
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let value = header::HeaderValue::from_static;
        headers.insert(header::CONTENT_TYPE, value(self.content_type));
        headers.insert(header::CACHE_CONTROL, value("no-cache, max-age=0"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, value("nosniff"));
        response
    }
}

fn written(write: Writer) -> Body {
    let (pieces, received) = mpsc::channel(PIECES_AHEAD);
    // Ends by itself: when all is written, or at the first piece that nobody takes any more.
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces));
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            tracing::debug!(%error, "a page was not written to its end");
        }
    });
    let frames = ReceiverStream::new(received).map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(frames).boxed_unsync()
}

/// Sends what is written to it.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes JSON as Envoy does: indented by one space, with a newline at the end.
pub(super) fn pretty<T: serde::Serialize + ?Sized>(
    value: &T,
    mut out: impl Write,
) -> io::Result<()> {
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut out, formatter,
    ))?;
    out.write_all(b"\n")
}
