//! The body of a response, whose memory counts until it is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};

use crate::budget::Reservation;

/// Maximum size of a frame. A connection takes frames as the client reads them, so the bytes that the
/// client does not read stay in the body.
const FRAME_BYTES: usize = 64 * 1024;

/// The bytes of a response, with the reservation of their memory.
pub(super) struct HeldBody {
    bytes: Bytes,
    _reservation: Reservation,
}

impl HeldBody {
    pub(super) fn new(bytes: Bytes, reservation: Reservation) -> Self {
        Self { bytes, _reservation: reservation }
    }
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.bytes.len().min(FRAME_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.bytes.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
