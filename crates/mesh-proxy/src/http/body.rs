//! The one body type of the pipeline: nothing, some bytes, a client's body on its way up, or a server's on its way down.

mod download;
mod tap;
mod upload;

pub(super) use download::Download;
pub(super) use upload::{Gate, Upload};

use super::exchange::Finish;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A body.
#[derive(Debug, Default)]
pub struct Body {
    source: Source,
    // Ends the exchange when the body is done with; only on what goes to the client.
    finish: Option<Finish>,
}

#[derive(Debug, Default)]
enum Source {
    #[default]
    Empty,
    Full(Bytes),
    Upload(upload::Reader),
    Copy(tap::Copy, SizeHint),
    Download(Download),
}

/// A body broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's body did not come through.
    #[error("the client's body broke off")]
    Downstream(#[source] hyper::Error),
    /// The server's body did not come through.
    #[error("the server's body broke off")]
    Upstream(#[source] hyper::Error),
    /// The request, or the stream, took longer than it may.
    #[error("time is up")]
    Timeout,
    /// Nothing came for too long.
    #[error("the stream is idle")]
    Idle,
    /// Another try has taken over.
    #[error("the request is sent elsewhere")]
    Superseded,
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self {
            source: Source::Full(bytes),
            finish: None,
        }
    }

    /// A client's body, from its beginning, for the try that begins now.
    pub(super) fn upload(upload: &Rc<Upload>, gate: Option<Gate>) -> Self {
        Self {
            source: Source::Upload(upload::Reader::new(upload, gate)),
            finish: None,
        }
    }

    /// A copy of a client's body, of which nothing was read.
    pub(super) fn copy(upload: &Upload) -> Self {
        Self {
            source: Source::Copy(upload.copy(), upload.length()),
            finish: None,
        }
    }

    /// A server's body.
    pub(super) fn download(download: Download) -> Self {
        Self {
            source: Source::Download(download),
            finish: None,
        }
    }

    /// The same, ending the exchange when it is done with.
    pub(super) fn finishing(mut self, mut finish: Finish) -> Self {
        finish.limit_idleness();
        self.finish = Some(finish);
        self
    }

    // The end of the body was reached.
    fn ended(&mut self) {
        if let Some(finish) = &mut self.finish {
            finish.complete();
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Source::Upload(reader) => return reader.poll_frame(cx),
            Source::Copy(copy, _) => return copy.poll_frame(cx),
            Source::Download(download) => download.poll_frame(cx),
        };
        let Some(finish) = &mut this.finish else {
            return frame;
        };
        let frame = match frame {
            Poll::Pending => finish.poll_idle(cx).map(|()| Some(Err(Error::Idle))),
            ready => ready,
        };
        match &frame {
            Poll::Ready(Some(Ok(frame))) => finish.sent(frame),
            Poll::Ready(Some(Err(error))) => finish.failed(error),
            Poll::Ready(None) | Poll::Pending => {}
        }
        if http_body::Body::is_end_stream(this) || matches!(frame, Poll::Ready(None)) {
            this.ended();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(_) => false,
            Source::Upload(reader) => reader.is_end_stream(),
            Source::Copy(copy, _) => copy.is_end_stream(),
            Source::Download(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Upload(reader) => reader.size_hint(),
            // Asked before anything is read.
            Source::Copy(_, length) => *length,
            Source::Download(download) => download.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // hyper does not poll a body of which it knows the end.
        if self.finish.is_some() && http_body::Body::is_end_stream(self) {
            self.ended();
        }
    }
}
