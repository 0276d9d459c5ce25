//! What `identify` and `group` know of somebody, as fields of ours; everything else are attributes.

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value};

use crate::attributes::Attributes;
use crate::customers::types::{Address, AddressType};
use crate::customers::{CustomerPatch, LifecycleStage, NewCustomer};
use crate::db::json::Jsonb;
use crate::error::FieldError;
use crate::organizations::OrganizationPatch;
use crate::values::{Email, Phone, country, json, locale, time, timezone};

/// Everything that traits say of a customer.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub email: Option<String>,
    pub phone: Option<String>,
    /// All the rest.
    pub patch: CustomerPatch,
}

/// Reads traits one by one: what is valid is taken, what is not is left out and noted.
struct Reader<'a> {
    traits: Map<String, Value>,
    ignored: &'a mut Vec<FieldError>,
}

/// Names that say the same as `userId`, or what nobody may set.
const LEFT_ASIDE: [&str; 4] = ["id", "userId", "anonymousId", "anonymous_id"];

impl Reader<'_> {
    fn take(&mut self, names: &[&str]) -> Option<(String, Value)> {
        let found = names.iter().find_map(|name| Some((*name, self.traits.remove(*name)?)));
        found.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value))
    }

    /// The value of a trait, if `read` can make something of its text.
    fn read<T>(
        &mut self,
        names: &[&str],
        code: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (name, value) = self.take(names)?;
        let text = match &value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        if text.is_empty() && value.is_string() {
            return None;
        }
        let read = read(&text);
        if read.is_none() {
            let detail = format!("`{name}` {expected}");
            self.ignored.push(FieldError::at(format!("#/traits/{name}"), code, detail));
        }
        read
    }

    fn text(&mut self, names: &[&str], most: usize) -> Option<String> {
        let expected = format!("takes a text of up to {most} characters");
        self.read(names, "invalid_length", &expected, |text| {
            (!text.is_empty() && text.chars().count() <= most).then(|| text.to_owned())
        })
    }

    /// What is left becomes attributes, as far as it can be stored.
    fn rest(self) -> Option<Jsonb<Attributes>> {
        let mut kept = self.traits;
        kept.retain(|name, _| !LEFT_ASIDE.contains(&name.as_str()));
        kept.retain(|name, value| {
            let pointer = format!("#/traits/{}", name.replace('~', "~0").replace('/', "~1"));
            let limits = json::Limits { depth: json::FREE.depth - 1, ..json::FREE };
            let mut faults = json::check_json(&pointer, value, &limits);
            let is_kept = faults.is_empty() && !name.is_empty();
            self.ignored.append(&mut faults);
            is_kept
        });
        (!kept.is_empty()).then_some(Jsonb(Attributes(kept)))
    }
}

/// What `identify` says of a customer.
pub fn customer(traits: &Map<String, Value>, ignored: &mut Vec<FieldError>) -> Profile {
    let mut reader = Reader { traits: traits.clone(), ignored };
    let email = "is no email address such as `ann@example.com`";
    let email = reader
        .read(&["email"], "invalid_email", email, |text| Email::parse(text).map(|email| email.raw));
    let phone = "is no phone number with country code such as `+4930901820`";
    let phone = reader.read(&["phone"], "invalid_phone", phone, |text| {
        Phone::parse(text, None).map(|phone| phone.e164)
    });
    let named = |reader: &mut Reader, names: &[&str], most| reader.text(names, most).map(Some);
    let mut patch = CustomerPatch {
        first_name: named(&mut reader, &["firstName", "first_name"], 200),
        last_name: named(&mut reader, &["lastName", "last_name"], 200),
        title: named(&mut reader, &["title"], 100),
        gender: named(&mut reader, &["gender"], 50),
        ..CustomerPatch::default()
    };
    let whole = reader.text(&["name"], 400);
    match whole.as_deref().map(|name| name.rsplit_once(' ')) {
        Some(Some((first, last))) if patch.first_name.is_none() && patch.last_name.is_none() => {
            (patch.first_name, patch.last_name) =
                (Some(Some(first.into())), Some(Some(last.into())));
        }
        Some(_) if patch.first_name.is_none() => patch.display_name = whole.map(Some),
        _ => {}
    }
    let expected = "is no day such as 1990-05-17";
    patch.birth_date = reader.read(&["birthday"], "invalid_date", expected, day).map(Some);
    let expected = "is no language tag such as `de-AT`";
    // Apps say `de_AT`.
    let tag = |text: &str| locale::normalise(&text.replace('_', "-"));
    let tag = reader.read(&["locale", "language"], "invalid_locale", expected, tag);
    patch.locale = tag.map(Some);
    let expected = "is no time zone such as `Europe/Vienna`";
    let zone = reader.read(&["timezone"], "invalid_timezone", expected, |text| {
        timezone::parse(text).map(|_| text.to_owned())
    });
    patch.timezone = zone.map(Some);
    patch.addresses = address(&mut reader).map(|address| Jsonb(vec![address]));
    company(&mut reader);
    patch.attributes = reader.rest();
    Profile { email, phone, patch }
}

/// Days come with and without a time.
fn day(text: &str) -> Option<NaiveDate> {
    let with_time = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.date_naive());
    time::parse_date(text).or_else(with_time).filter(|day| time::check_date(*day))
}

fn address(reader: &mut Reader) -> Option<Address> {
    let given = reader.traits.get("address")?.as_object()?.clone();
    reader.traits.remove("address");
    let mut parts = Reader { traits: given, ignored: reader.ignored };
    let address = Address {
        r#type: AddressType::Home,
        is_default: true,
        line1: parts.text(&["street", "line1"], 200),
        line2: parts.text(&["line2"], 200),
        city: parts.text(&["city"], 100),
        region: parts.text(&["state", "region"], 100),
        postal_code: parts.text(&["postalCode", "postal_code", "zip"], 20),
        country: {
            let expected = "is no ISO 3166-1 alpha-2 code such as `AT`";
            parts.read(&["country"], "invalid_country", expected, |text| {
                let code = text.to_uppercase();
                country::is_country(&code).then_some(code)
            })
        },
    };
    let Address { line1, line2, city, region, postal_code, country, .. } = &address;
    let said = [line1, line2, city, region, postal_code, country];
    let is_said = said.into_iter().any(Option::is_some);
    is_said.then_some(address)
}

/// The employer, by name: which organization that is, `group` says.
fn company(reader: &mut Reader) {
    if let Some(Value::Object(company)) = reader.traits.get("company")
        && let Some(name) = company.get("name").filter(|name| name.is_string()).cloned()
    {
        reader.traits.insert("company".into(), name);
    }
}

impl Profile {
    /// The same for somebody who is not known yet, with these attributes.
    pub fn begin(&self, attributes: Attributes) -> NewCustomer {
        let patch = &self.patch;
        NewCustomer {
            first_name: patch.first_name.clone().flatten(),
            last_name: patch.last_name.clone().flatten(),
            display_name: patch.display_name.clone().flatten(),
            title: patch.title.clone().flatten(),
            gender: patch.gender.clone().flatten(),
            birth_date: patch.birth_date.flatten(),
            locale: patch.locale.clone().flatten(),
            timezone: patch.timezone.clone().flatten(),
            addresses: patch.addresses.clone().unwrap_or_default(),
            attributes: Jsonb(attributes),
            ..NewCustomer::default()
        }
    }
}

/// Somebody of whom nothing but a browser is known.
pub fn visitor() -> NewCustomer {
    NewCustomer { lifecycle_stage: Some(LifecycleStage::Visitor), ..NewCustomer::default() }
}

/// What `group` says of an organization.
pub fn organization(
    traits: &Map<String, Value>,
    ignored: &mut Vec<FieldError>,
) -> OrganizationPatch {
    let mut reader = Reader { traits: traits.clone(), ignored };
    let name = reader.text(&["name"], 200);
    let industry = reader.text(&["industry"], 100).map(Some);
    let expected = "is no number of people";
    let employees = reader.read(&["employees"], "invalid_type", expected, |text| {
        text.parse::<i32>().ok().filter(|count| *count >= 0)
    });
    let domains = reader.read(&["website"], "invalid_domain", "is no website", |text| {
        let address =
            if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let host = url::Url::parse(&address).ok()?.host_str()?.to_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host).to_owned();
        crate::organizations::types::is_domain(&host).then(|| vec![host])
    });
    OrganizationPatch {
        name,
        industry,
        employees_count: employees.map(Some),
        domains,
        attributes: reader.rest(),
        ..OrganizationPatch::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn customer_of(traits: Value) -> (Profile, Vec<String>) {
        let mut ignored = Vec::new();
        let profile = customer(traits.as_object().expect("an object"), &mut ignored);
        (profile, ignored.into_iter().filter_map(|fault| fault.pointer).collect())
    }

    #[test]
    fn traits_become_fields_and_the_rest_attributes() {
        let (profile, ignored) = customer_of(json!({
            "id": "u1", "email": " Ada@Shop.example.com", "phone": "+43 664 1234567",
            "firstName": "Ada", "lastName": "Lindqvist", "birthday": "1990-05-17T00:00:00.000Z",
            "address": { "street": "Bergstraße 12", "city": "Innsbruck", "postalCode": 6020,
                         "country": "at" },
            "company": { "name": "Alpenglow", "id": 7 }, "plan": "gold", "locale": "de-at",
            "createdAt": "2026-01-01T00:00:00Z", "age": 35,
        }));
        assert_eq!(ignored, [""; 0]);
        assert_eq!(profile.email.as_deref(), Some("Ada@Shop.example.com"));
        assert_eq!(profile.phone.as_deref(), Some("+436641234567"));
        let patch = json!(profile.patch);
        assert_eq!(
            (&patch["first_name"], &patch["birth_date"]),
            (&json!("Ada"), &json!("1990-05-17"))
        );
        assert_eq!(patch["addresses"][0]["postal_code"], "6020");
        assert_eq!(patch["addresses"][0]["country"], "AT");
        assert_eq!(patch["locale"], "de-AT");
        let attributes = json!({ "company": "Alpenglow", "plan": "gold", "age": 35,
                                 "createdAt": "2026-01-01T00:00:00Z" });
        assert_eq!(patch["attributes"], attributes);
    }

    #[test]
    fn a_locale_may_have_an_underscore() {
        let (profile, ignored) = customer_of(json!({ "locale": "de_AT" }));
        assert_eq!((&json!(profile.patch)["locale"], ignored.len()), (&json!("de-AT"), 0));
    }

    #[test]
    fn a_whole_name_is_taken_apart_where_its_parts_are_not_said() {
        let named = |traits| json!(customer_of(traits).0.patch);
        let patch = named(json!({ "name": "Ada King Lovelace" }));
        assert_eq!(
            (&patch["first_name"], &patch["last_name"]),
            (&json!("Ada King"), &json!("Lovelace"))
        );
        assert_eq!(named(json!({ "name": "Plato" }))["display_name"], "Plato");
        let patch = named(json!({ "name": "Ada L.", "firstName": "Ada" }));
        assert_eq!(patch, json!({ "first_name": "Ada" }));
    }

    #[test]
    fn what_is_not_valid_is_left_out_and_noted() {
        let (profile, ignored) = customer_of(json!({
            "email": "nobody", "phone": "12", "birthday": "soon", "address": { "country": "Austria" },
            "firstName": { "x": 1 }, "lastName": "", "locale": null, "score": 0.5,
            "deep": [[[[[[[[[1]]]]]]]]],
        }));
        let mut ignored = ignored;
        ignored.sort();
        assert_eq!(
            ignored,
            [
                "#/traits/birthday",
                "#/traits/country",
                "#/traits/deep/0/0/0/0/0/0/0",
                "#/traits/email",
                "#/traits/firstName",
                "#/traits/phone",
            ]
        );
        assert!(profile.email.is_none() && profile.phone.is_none());
        assert_eq!(json!(profile.patch), json!({ "attributes": { "score": 0.5 } }));
    }

    #[test]
    fn a_group_is_an_organization() {
        let traits = json!({ "name": "Alpenglow", "industry": "retail", "employees": 42,
                             "website": "https://www.Alpenglow.example.com/about", "plan": "team" });
        let mut ignored = Vec::new();
        let patch = organization(traits.as_object().expect("an object"), &mut ignored);
        assert_eq!(ignored, []);
        assert_eq!(patch.name.as_deref(), Some("Alpenglow"));
        assert_eq!(patch.employees_count, Some(Some(42)));
        assert_eq!(patch.domains, Some(vec!["alpenglow.example.com".to_owned()]));
        assert_eq!(patch.attributes.expect("attributes").0.0["plan"], "team");
    }
}
