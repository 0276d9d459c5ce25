//! Takes in what a caller sends, and stops early where that is too much, too slow or not readable.

use std::io::Read;
use std::time::Duration;

use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::mime::{self, Mime};
use actix_web::rt::time::timeout;
use actix_web::{HttpMessage, HttpRequest, web};
use flate2::read::MultiGzDecoder;

use crate::error::{Code, Error, Result};

/// The whole body, unpacked, of at most `limit` bytes before and after unpacking.
///
/// 415 for encodings other than gzip, 413 above the limit (at once where `Content-Length` says so),
/// 408 where the body is not complete after `deadline`, 400 where it is cut off or not gzip.
pub async fn read(
    payload: &mut Payload,
    req: &HttpRequest,
    limit: usize,
    deadline: Duration,
) -> Result<web::Bytes> {
    let encoding = Encoding::of(req.headers())?;
    if declared_length(req.headers()).is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let body = receive(payload.take(), limit, deadline).await?;
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => web::block(move || unpack(&body, limit))
            .await
            .map_err(|error| Error::internal(format!("unpacking a body: {error}")))?,
    }
}

/// Refuses with 415 what is neither JSON (`application/json`, `application/…+json`) nor one of the
/// `allowed` media types, and every charset but UTF-8.
pub fn check_content_type(req: &HttpRequest, allowed: &[&str]) -> Result<()> {
    let Ok(Some(mime)) = req.mime_type() else {
        return Err(unsupported("send a `Content-Type`, such as `application/json`"));
    };
    if !is_json(&mime) && !allowed.contains(&mime.essence_str()) {
        let known: String = allowed.iter().map(|allowed| format!(" or `{allowed}`")).collect();
        return Err(unsupported(format!("the `Content-Type` must be `application/json`{known}")));
    }
    match mime.get_param(mime::CHARSET) {
        Some(charset) if !charset.as_str().eq_ignore_ascii_case("utf-8") => {
            Err(unsupported("the charset of the `Content-Type` must be `utf-8`"))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_json(mime: &Mime) -> bool {
    mime.type_() == mime::APPLICATION
        && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self> {
        let mut lines = headers.get_all(header::CONTENT_ENCODING);
        let line = lines.next().map(|line| line.to_str().unwrap_or_default());
        match (line.map(str::to_ascii_lowercase).as_deref(), lines.next()) {
            (None | Some("identity"), None) => Ok(Self::Identity),
            (Some("gzip"), None) => Ok(Self::Gzip),
            _ => Err(unsupported("the only `Content-Encoding` known here is `gzip`, once")),
        }
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn receive(payload: Payload, limit: usize, deadline: Duration) -> Result<web::Bytes> {
    match timeout(deadline, to_bytes_limited(BodyStream::new(payload), limit)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_cut_off))) => {
            Err(Error::new(Code::BAD_REQUEST, "the body ended before it was complete"))
        }
        Ok(Err(_too_much)) => Err(too_large(limit)),
        Err(_too_slow) => {
            let seconds = deadline.as_secs_f32();
            let detail = format!("the body was not complete after {seconds} s");
            Err(Error::new(Code::REQUEST_TIMEOUT, detail))
        }
    }
}

/// Unpacks no more than the limit, whatever the packed body would grow to.
fn unpack(packed: &[u8], limit: usize) -> Result<web::Bytes> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(packed).take(limit as u64 + 1).read_to_end(&mut unpacked).map_err(
        |_corrupt| Error::new(Code::INVALID_ENCODING, "the body is not complete and valid gzip"),
    )?;
    if unpacked.len() > limit {
        return Err(too_large(limit));
    }
    Ok(unpacked.into())
}

fn too_large(limit: usize) -> Error {
    Error::new(Code::PAYLOAD_TOO_LARGE, format!("the body may have {limit} bytes, unpacked too"))
}

fn unsupported(detail: impl Into<String>) -> Error {
    Error::new(Code::UNSUPPORTED_MEDIA_TYPE, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Instant;

    use actix_web::HttpResponse;
    use actix_web::middleware::from_fn;
    use actix_web::test::TestRequest;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::http::testing::{Then, send, serve};
    use crate::http::unread;

    const LIMIT: usize = 1000;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read_test(encodings: &[&str], body: impl Into<web::Bytes>) -> Result<web::Bytes> {
        let mut req = TestRequest::post();
        for encoding in encodings {
            req = req.append_header((header::CONTENT_ENCODING, *encoding));
        }
        let (req, mut payload) = req.set_payload(body).to_http_parts();
        read(&mut payload, &req, LIMIT, Duration::from_secs(5)).await
    }

    fn refused<T: std::fmt::Debug>(result: Result<T>) -> (u16, String) {
        let error = result.unwrap_err();
        (error.status(), error.rejection().code.to_string())
    }

    #[actix_web::test]
    async fn a_body_is_read_up_to_the_limit_and_refused_above_it() {
        for length in [0, 1, LIMIT - 1, LIMIT] {
            assert_eq!(read_test(&[], vec![b'x'; length]).await.unwrap().len(), length);
        }
        let refused = refused(read_test(&[], vec![b'x'; LIMIT + 1]).await);
        assert_eq!(refused, (413, "payload_too_large".into()));
    }

    #[actix_web::test]
    async fn a_gzip_body_is_unpacked_up_to_the_limit() {
        let body = vec![b'x'; LIMIT];
        for encoding in ["gzip", "GZIP"] {
            assert_eq!(read_test(&[encoding], gzip(&body)).await.unwrap(), body);
        }
        assert_eq!(read_test(&["identity"], body.clone()).await.unwrap(), body);
        let two_members = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(read_test(&["gzip"], two_members).await.unwrap(), "one two");
        let above = refused(read_test(&["gzip"], gzip(&vec![b'x'; LIMIT + 1])).await);
        assert_eq!(above, (413, "payload_too_large".into()));
    }

    #[actix_web::test]
    async fn a_gzip_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 500_000]);
        assert!(bomb.len() < LIMIT);
        // The tail of the bomb is broken: whoever unpacked it to the end would answer 400.
        let cut = bomb[..bomb.len() - 8].to_vec();
        assert_eq!(refused(read_test(&["gzip"], cut).await), (413, "payload_too_large".into()));
    }

    #[actix_web::test]
    async fn a_body_that_is_not_gzip_is_refused() {
        let mut flipped = gzip(b"hello hello hello");
        *flipped.last_mut().unwrap() ^= 1;
        let whole = gzip(b"hello");
        let cut = whole[..whole.len() - 3].to_vec();
        let trailing = [&whole[..], b"trailing"].concat();
        for corrupt in [b"not gzip".to_vec(), Vec::new(), flipped, cut, trailing] {
            let refused = refused(read_test(&["gzip"], corrupt.clone()).await);
            assert_eq!(refused, (400, "invalid_encoding".into()), "{corrupt:?}");
        }
    }

    #[actix_web::test]
    async fn encodings_other_than_one_gzip_are_refused() {
        for encodings in
            [&["zzz"][..], &["br"], &["deflate"], &["gzip, gzip"], &["gzip", "gzip"], &[""]]
        {
            let refused = refused(read_test(encodings, "{}").await);
            assert_eq!(refused, (415, "unsupported_media_type".into()), "{encodings:?}");
        }
    }

    fn checked(content_type: Option<&str>, allowed: &[&str]) -> Result<()> {
        let mut req = TestRequest::post();
        if let Some(content_type) = content_type {
            req = req.insert_header((header::CONTENT_TYPE, content_type));
        }
        check_content_type(&req.to_http_request(), allowed)
    }

    #[test]
    fn json_in_utf_8_is_accepted_under_all_its_names() {
        for json in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/merge-patch+json",
            "application/vnd.x+json; charset=UTF-8",
        ] {
            assert!(checked(Some(json), &[]).is_ok(), "{json}");
        }
        assert!(checked(Some("text/csv; charset=utf-8"), &["text/csv"]).is_ok());
    }

    #[test]
    fn other_types_and_charsets_are_refused() {
        for other in [
            None,
            Some(""),
            Some("nonsense"),
            Some("text/plain"),
            Some("text/json"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonp"),
            Some("application/xml+json+xml"),
            Some("application/json; charset=iso-8859-1"),
            Some("text/csv; charset=utf-16"),
        ] {
            let refused = refused(checked(other, &["text/csv"]));
            assert_eq!(refused, (415, "unsupported_media_type".into()), "{other:?}");
        }
    }

    /// Says how `read` ended: the length, or the code.
    async fn measure(req: HttpRequest, payload: web::Payload) -> HttpResponse {
        let mut payload = payload.into_inner();
        match read(&mut payload, &req, LIMIT, Duration::from_millis(300)).await {
            Ok(body) => HttpResponse::Ok().body(format!("read {}", body.len())),
            Err(error) => HttpResponse::build(error.rejection().status_code())
                .body(error.rejection().code.to_string()),
        }
    }

    fn routes(config: &mut web::ServiceConfig) {
        let scope = web::scope("").wrap(from_fn(unread::hang_up));
        config.service(scope.route("/", web::post().to(measure)));
    }

    async fn posted(headers: &str, body: &str, then: Then) -> String {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}");
        send(serve(routes), request, then).await
    }

    #[actix_web::test]
    async fn a_stalled_body_is_answered_408_after_the_deadline() {
        for headers in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let started = Instant::now();
            let answer = posted(headers, "5\r\nhello\r\n", Then::Wait).await;
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
            assert!(answer.ends_with("request_timeout"), "{answer}");
            assert!(started.elapsed() >= Duration::from_millis(300));
            assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        }
    }

    #[actix_web::test]
    async fn a_length_above_the_limit_is_refused_before_the_body_comes() {
        let answer = posted("Content-Length: 1001", "", Then::Wait).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }

    #[actix_web::test]
    async fn a_chunked_body_above_the_limit_is_refused_without_waiting_for_its_end() {
        let body = format!("3e9\r\n{}\r\n", "x".repeat(1001));
        let answer = posted("Transfer-Encoding: chunked", &body, Then::Wait).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        let body = format!("3e8\r\n{}\r\n0\r\n\r\n", "x".repeat(1000));
        let headers = "Connection: close\r\nTransfer-Encoding: chunked";
        let answer = posted(headers, &body, Then::Wait).await;
        assert!(answer.ends_with("read 1000"), "{answer}");
    }

    #[actix_web::test]
    async fn a_client_that_hangs_up_half_way_has_sent_a_bad_request() {
        let answer = posted("Content-Length: 100", "half", Then::HangUp).await;
        assert!(answer.ends_with("bad_request"), "{answer}");
    }
}
