//! The circumstances of a call, as far as touchpoints know them.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::journal::touchpoint::{TouchpointCampaign, TouchpointContext, TouchpointPage};
use crate::values::free::{self, FreeObject};

/// What is told of the device besides `device` itself.
const OF_DEVICE: [&str; 5] = ["app", "os", "screen", "network", "library"];

/// Reads the circumstances; what does not fit is left out and noted.
pub fn read(context: &Map<String, Value>, ignored: &mut Vec<FieldError>) -> TouchpointContext {
    let mut reader = Reader { ignored };
    let page = inner(context, "page");
    let campaign = inner(context, "campaign");
    let mut text = |from, name, most| reader.text(from, name, most);
    let (page, campaign) = (
        TouchpointPage {
            url: text(page, "url", 4000),
            path: text(page, "path", 2000),
            title: text(page, "title", 1000),
            referrer: text(page, "referrer", 4000),
        },
        TouchpointCampaign {
            name: text(campaign, "name", 200),
            source: text(campaign, "source", 200),
            medium: text(campaign, "medium", 200),
            term: text(campaign, "term", 200),
            content: text(campaign, "content", 200),
        },
    );
    let top = Some(context);
    let ip = text(top, "ip", 45).filter(|ip| ip != "0.0.0.0");
    let (user_agent, locale) = (text(top, "userAgent", 1000), text(top, "locale", 35));
    let timezone = text(top, "timezone", 64);
    TouchpointContext {
        ip,
        user_agent,
        locale,
        timezone,
        page: has_page(&page).then_some(page),
        campaign: has_campaign(&campaign).then_some(campaign),
        device: reader.free("device", device(context)),
        location: reader.free("location", inner(context, "location").cloned()),
    }
}

fn inner<'a>(context: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    context.get(name).and_then(Value::as_object)
}

fn device(context: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut device = inner(context, "device").cloned().unwrap_or_default();
    for name in OF_DEVICE {
        if let Some(value) = context.get(name).filter(|value| !value.is_null()) {
            device.entry(name).or_insert_with(|| value.clone());
        }
    }
    (!device.is_empty()).then_some(device)
}

fn has_page(page: &TouchpointPage) -> bool {
    [&page.url, &page.path, &page.title, &page.referrer].into_iter().any(Option::is_some)
}

fn has_campaign(campaign: &TouchpointCampaign) -> bool {
    let TouchpointCampaign { name, source, medium, term, content } = campaign;
    [name, source, medium, term, content].into_iter().any(Option::is_some)
}

struct Reader<'a> {
    ignored: &'a mut Vec<FieldError>,
}

impl Reader<'_> {
    fn text(
        &mut self,
        from: Option<&Map<String, Value>>,
        name: &str,
        most: usize,
    ) -> Option<String> {
        let text = from?.get(name)?.as_str().filter(|text| !text.is_empty())?;
        if text.chars().count() <= most {
            return Some(text.to_owned());
        }
        let detail = format!("`{name}` may have up to {most} characters");
        self.ignored.push(FieldError::at(format!("#/context/{name}"), "invalid_length", detail));
        None
    }

    fn free(&mut self, name: &str, value: Option<Map<String, Value>>) -> Option<FreeObject> {
        let object = FreeObject(value?);
        match free::valid(&object) {
            Ok(()) => Some(object),
            Err(error) => {
                let detail = error.message.unwrap_or_default().into_owned();
                let fault = FieldError::at(format!("#/context/{name}"), "", detail);
                self.ignored.push(FieldError { code: error.code, ..fault });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(context: Value) -> (TouchpointContext, Vec<String>) {
        let mut ignored = Vec::new();
        let read = read(context.as_object().expect("an object"), &mut ignored);
        (read, ignored.into_iter().filter_map(|fault| fault.pointer).collect())
    }

    #[test]
    fn what_a_browser_says_is_kept_in_our_words() {
        let (read, ignored) = read_json(json!({
            "ip": "192.0.2.1", "userAgent": "Firefox", "locale": "de-AT", "timezone": "Europe/Vienna",
            "page": { "url": "https://shop.example.com/a", "path": "/a", "search": "", "title": "A" },
            "campaign": { "name": "spring", "source": "news", "gclid": "x" },
            "library": { "name": "analytics.js", "version": "2" }, "os": { "name": "iOS" },
            "device": { "type": "ios" }, "traits": { "email": "a@shop.example.com" },
        }));
        assert_eq!(ignored, [""; 0]);
        let page = read.page.expect("a page");
        assert_eq!((page.path.as_deref(), page.referrer), (Some("/a"), None));
        assert_eq!(read.campaign.expect("a campaign").name.as_deref(), Some("spring"));
        let device = json!(read.device.expect("a device"));
        assert_eq!(device["type"], "ios");
        assert_eq!(
            (&device["os"]["name"], &device["library"]["version"]),
            (&json!("iOS"), &json!("2"))
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_noted() {
        let (read, ignored) = read_json(json!({
            "ip": "0.0.0.0", "locale": "x".repeat(36), "page": 7, "campaign": {}, "userAgent": 1,
        }));
        assert_eq!(ignored, ["#/context/locale"]);
        assert!(read.ip.is_none() && read.locale.is_none() && read.user_agent.is_none());
        assert!(read.page.is_none() && read.campaign.is_none() && read.device.is_none());
    }
}
