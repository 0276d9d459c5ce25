//! Unsubscribing with one click, by people and by mail programs (RFC 8058): looking at the page
//! changes nothing, sending its form withdraws.

use actix_web::http::header;
use actix_web::{HttpRequest, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ledger::{Ledger, Speaker};
use super::links::{Destination, Visit};
use super::preferences::{evidence, not_a_link, of_person};
use super::standing::ConsentKey;
use super::types::{ConsentEvidence, ConsentMethod, ConsentState};
use crate::app::App;
use crate::customers::Customer;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::reply::page;
use crate::http::{Path, Reply, body};
use crate::values::text::markup_escape;

/// Bytes that the form has at most.
const LIMIT: usize = 16 * 1024;

/// The one field of the form (RFC 8058, 3.1).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OneClick {
    /// Always `One-Click`.
    #[serde(rename = "List-Unsubscribe")]
    #[schema(example = "One-Click")]
    pub list_unsubscribe: String,
}

/// Show the page to unsubscribe
///
/// For people who follow the link of a message: a small page with one button. Mail programs and
/// scanners that look at it change nothing.
#[utoipa::path(tag = "consents", security(()), params(("token" = String, Path, description = "The token of a preference link", example = "WyIwMTkyZjBjMS0yYTNi")), responses((status = 200, body = String, content_type = "text/html", description = "A page with one button.")))]
#[get("/u/{token}")]
pub async fn get_unsubscribe_page(req: HttpRequest, token: Path<String>) -> Result<Reply> {
    let visit = Visit::of(&req, &token)?;
    visit
        .read(move |conn, to| {
            let Destination::Preferences { customer, out_of } = to else { return not_a_link() };
            Customer::find_for_person(conn, *customer)?;
            let (action, what) = (format!("/u/{}", *token), what(out_of));
            Ok(page(
                "Unsubscribe",
                &format!(
                    "<p>Do you want to unsubscribe from {what}?</p>\
                 <form method=\"post\" action=\"{action}\">\
                 <input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\
                 <button type=\"submit\">Unsubscribe</button></form>"
                ),
            ))
        })
        .await
}

/// Unsubscribe with one click
///
/// RFC 8058, for mail programs and for the button of the page: withdraws what the link names, at
/// once, without a login, a cookie or a redirect. Once more changes nothing more.
#[utoipa::path(tag = "consents", security(()), params(("token" = String, Path, description = "The token of a preference link", example = "WyIwMTkyZjBjMS0yYTNi")), request_body(content = OneClick, content_type = "application/x-www-form-urlencoded"), responses((status = 200, body = String, content_type = "text/html", description = "The customer is unsubscribed.")))]
#[post("/u/{token}")]
pub async fn unsubscribe_customer(
    req: HttpRequest,
    token: Path<String>,
    payload: web::Payload,
) -> Result<Reply> {
    let visit = Visit::of(&req, &token)?;
    one_click(&req, payload).await?;
    let shown = evidence(&req);
    visit
        .write(move |tx, to| {
            let Destination::Preferences { customer, out_of } = to else { return not_a_link() };
            let origin = *customer;
            withdraw(tx, origin, out_of, &shown)?;
            Ok(page("Unsubscribe", &format!("<p>You are unsubscribed from {}.</p>", what(out_of))))
        })
        .await
}

fn withdraw(tx: &mut Tx, origin: Uuid, key: &ConsentKey, shown: &ConsentEvidence) -> Result<()> {
    let customer = Customer::lock_for_person(tx, origin)?;
    let mut ledger = Ledger::open(tx, &[customer], &[])?;
    let said = of_person(key.clone(), ConsentState::Withdrawn, ConsentMethod::OneClick, shown);
    ledger.enter(tx, Speaker { customer, origin }, &said)?;
    ledger.close(tx)
}

/// Reads the form in either of its two encodings; 422 where it is not the one of RFC 8058.
async fn one_click(req: &HttpRequest, payload: web::Payload) -> Result<()> {
    let kind = req.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_multipart = kind.eq_ignore_ascii_case("multipart/form-data");
    if !is_multipart {
        body::check_content_type(req, &["application/x-www-form-urlencoded"])?;
    }
    let deadline = App::of(req).config.body_timeout;
    let bytes = body::read(&mut payload.into_inner(), req, LIMIT, deadline).await?;
    let is_asked = match is_multipart {
        true => part_says_one_click(&String::from_utf8_lossy(&bytes)),
        false => url::form_urlencoded::parse(&bytes)
            .any(|(name, value)| name == "List-Unsubscribe" && value == "One-Click"),
    };
    let detail = "send the form of RFC 8058: `List-Unsubscribe=One-Click`";
    let refused = || Error::field("#/List-Unsubscribe", "required", detail);
    if is_asked { Ok(()) } else { Err(refused()) }
}

/// Whether a part of a multipart body is the field and its value is the one it has.
fn part_says_one_click(text: &str) -> bool {
    text.split("name=\"List-Unsubscribe\"").skip(1).any(|part| {
        let value = part.split("\r\n\r\n").nth(1).unwrap_or_default();
        value.split("\r\n").next() == Some("One-Click")
    })
}

fn what(key: &ConsentKey) -> String {
    let topic = key.topic.as_deref().map(markup_escape);
    let about = topic.map(|topic| format!(" about “{topic}”")).unwrap_or_default();
    let channel = key.channel_type.as_str().replace('_', " ");
    format!("{} messages{about} by {channel}", key.purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_field_only_with_its_value() {
        let form = |name: &str, value: &str| {
            let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"");
            format!("{head}\r\n\r\n{value}\r\n--x--\r\n")
        };
        assert!(part_says_one_click(&form("List-Unsubscribe", "One-Click")));
        for (name, value) in [("List-Unsubscribe", "No"), ("other", "One-Click"), ("", "")] {
            assert!(!part_says_one_click(&form(name, value)), "{name}: {value}");
        }
    }

    #[test]
    fn a_topic_cannot_be_markup() {
        assert_eq!(markup_escape("<b onclick='x'>&\""), "&lt;b onclick=&#39;x&#39;&gt;&amp;&quot;");
    }
}
