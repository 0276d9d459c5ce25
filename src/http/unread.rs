//! Hangs up on callers who never finish what they were sending, once they have their answer.
//!
//! actix closes a connection after an answer that came before the end of the body, with one
//! exception: when a chunked body was dropped unread, it waits for its end, without a time limit.
//! A caller could so keep a connection open for ever, without a credential. While somebody still
//! holds the body, the exception does not apply.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::rt::{spawn, time::sleep};
use actix_web::web::Bytes;
use futures_core::Stream;

/// Longer than the head of a finished answer takes to be written.
const HELD: Duration = Duration::from_secs(1);

/// A layer outside [`super::observe::observe`]: holds chunked bodies until after the answer, so
/// that the connection of an unfinished one is closed.
pub async fn hang_up<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if !req.headers().contains_key(header::TRANSFER_ENCODING) {
        return next.call(req).await;
    }
    let held = Held(Rc::new(RefCell::new(req.take_payload())));
    req.set_payload(Payload::Stream { payload: Box::pin(held.clone()) });
    let result = next.call(req).await;
    spawn(async move {
        sleep(HELD).await;
        drop(held);
    });
    result
}

/// A body with two owners: the handler that reads it, and the layer that keeps it.
#[derive(Clone)]
struct Held(Rc<RefCell<Payload>>);

impl Stream for Held {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use actix_web::middleware::from_fn;
    use actix_web::{HttpResponse, web};

    use super::*;
    use crate::http::testing::{Then, send, serve};

    fn routes(config: &mut web::ServiceConfig) {
        config.service(
            web::scope("")
                .wrap(from_fn(hang_up))
                .route("/refused", web::post().to(HttpResponse::Unauthorized))
                .route("/read", web::post().to(async |body: Bytes| body)),
        );
    }

    const HEAD: &str = "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[actix_web::test]
    async fn a_chunked_body_that_never_ends_does_not_keep_its_connection() {
        let started = Instant::now();
        for (path, status) in [("/refused", 401), ("/nowhere", 404)] {
            let request = format!("POST {path} {HEAD}5\r\nhello\r\n");
            let answer = send(serve(routes), request, Then::Wait).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            assert!(answer.contains("connection: close"), "{answer}");
        }
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    }

    #[actix_web::test]
    async fn a_chunked_body_that_ends_is_read_and_its_connection_stays() {
        let one = format!("POST /read {HEAD}5\r\nhello\r\n0\r\n\r\n");
        let last =
            "POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast";
        let answer = send(serve(routes), format!("{one}{one}{last}"), Then::Wait).await;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
        assert_eq!(answer.matches("hello").count(), 2, "{answer}");
        assert!(answer.ends_with("last"), "{answer}");
    }
}
