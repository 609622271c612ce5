//! The byte stream below hyper: tells when bytes come in, and counts frames where they are HTTP/2's.

use super::{activity::Activity, frame_budget::FrameBudget};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A downstream connection's bytes.
pub(super) struct Watched<S> {
    inner: S,
    activity: Arc<Activity>,
    budget: Option<FrameBudget>,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>, budget: Option<FrameBudget>) -> Self {
        Self {
            inner,
            activity,
            budget,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let this = &mut *self;
        let new = &buf.filled()[before..];
        match &mut this.budget {
            Some(budget) => {
                if let Err(excess) = budget.received(new) {
                    this.activity.flooded();
                    let goaway = budget.goaway();
                    let _ = Pin::new(&mut this.inner).poll_write(cx, &goaway);
                    return Poll::Ready(Err(io::Error::other(excess)));
                }
            }
            None if !new.is_empty() => this.activity.received(),
            None => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        if let Some(budget) = &mut self.budget {
            budget.sent(&buf[..n]);
        }
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = std::task::ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        if let Some(budget) = &mut self.budget {
            let mut left = n;
            for buf in bufs {
                let taken = left.min(buf.len());
                budget.sent(&buf[..taken]);
                left -= taken;
            }
        }
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
