//! The fields that columns of a file can be mapped to, and which one a column's name suggests.

use super::row::BulkResource;

/// How the text of a cell becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Text,
    /// Lower case, as words of closed lists are.
    Word,
    Integer,
    /// Separated by commas or semicolons.
    List,
}

/// A field of a resource by its path, and what exports of other products call it (in the form of
/// [`normal`]).
pub struct Field {
    pub path: &'static str,
    pub cell: Cell,
    pub synonyms: &'static [&'static str],
}

const fn text(path: &'static str, synonyms: &'static [&'static str]) -> Field {
    Field { path, cell: Cell::Text, synonyms }
}

const fn word(path: &'static str, synonyms: &'static [&'static str]) -> Field {
    Field { path, cell: Cell::Word, synonyms }
}

const fn integer(path: &'static str, synonyms: &'static [&'static str]) -> Field {
    Field { path, cell: Cell::Integer, synonyms }
}

const fn list(path: &'static str, synonyms: &'static [&'static str]) -> Field {
    Field { path, cell: Cell::List, synonyms }
}

const CUSTOMERS: &[Field] = &[
    text("email", &["emailaddress", "mail", "customeremail", "primaryemail"]),
    text(
        "phone",
        &["phonenumber", "mobile", "mobilephone", "mobilephonenumber", "telephone", "tel"],
    ),
    text("first_name", &["firstname", "givenname", "fname", "vorname"]),
    text("last_name", &["lastname", "surname", "familyname", "lname", "nachname"]),
    text("display_name", &["name", "fullname"]),
    text("title", &["jobtitle", "salutation"]),
    text("birth_date", &["birthday", "dateofbirth", "dob"]),
    text("gender", &["sex"]),
    text("locale", &["language", "preferredlanguage"]),
    text("timezone", &[]),
    text("currency", &[]),
    word("lifecycle_stage", &["stage"]),
    word("status", &[]),
    text("owner_id", &[]),
    text("source", &["leadsource", "originalsource"]),
    integer("score", &["leadscore", "hubspotscore", "memberrating"]),
    list("tags", &["labels"]),
    text("acquisition.utm_source", &["utmsource"]),
    text("acquisition.utm_medium", &["utmmedium"]),
    text("acquisition.utm_campaign", &["utmcampaign"]),
    text("acquisition.referrer", &["referrer"]),
    text("acquisition.landing_page", &["landingpage"]),
    word("address.type", &["addresstype"]),
    text("address.line1", &["streetaddress", "street", "address1", "defaultaddressaddress1"]),
    text("address.line2", &["address2", "defaultaddressaddress2"]),
    text("address.city", &["city", "town", "defaultaddresscity"]),
    text(
        "address.region",
        &["region", "state", "stateregion", "province", "defaultaddressprovincecode"],
    ),
    text("address.postal_code", &["postalcode", "zip", "zipcode", "plz", "defaultaddresszip"]),
    text("address.country", &["countrycode", "countryregioncode", "defaultaddresscountrycode"]),
];

const ORGANIZATIONS: &[Field] = &[
    text("name", &["companyname", "company", "organization", "organisation"]),
    list("domains", &["domain", "companydomainname", "website"]),
    text("industry", &[]),
    integer("employees_count", &["numberofemployees", "employees"]),
    integer("annual_revenue.amount", &[]),
    text("annual_revenue.currency", &[]),
    text("parent_id", &[]),
    text("owner_id", &[]),
    list("tags", &["labels"]),
];

const TOUCHPOINTS: &[Field] = &[
    text("type", &["event", "eventtype"]),
    text("name", &["eventname"]),
    word("direction", &[]),
    text("occurred_at", &["timestamp", "time", "date", "datetime", "eventtime"]),
    text("source", &[]),
    text("message_id", &["eventid"]),
    text("customer.id", &["customerid"]),
    text("customer.email", &["email", "emailaddress", "customeremail"]),
    text("customer.phone", &["phone", "phonenumber"]),
    text("customer.user_id", &["userid"]),
    text("customer.anonymous_id", &["anonymousid"]),
    text("channel.id", &["channelid"]),
    text("organization.id", &["organizationid"]),
    integer("value.amount", &["amount"]),
    text("value.currency", &["currency"]),
    text("content.subject", &["subject"]),
    text("content.text", &["message", "body"]),
];

impl BulkResource {
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Customers => CUSTOMERS,
            Self::Organizations => ORGANIZATIONS,
            Self::Touchpoints => TOUCHPOINTS,
        }
    }

    /// Paths that end in a name of the company's own.
    pub fn open_fields(self) -> &'static [&'static str] {
        match self {
            Self::Customers | Self::Organizations => &["attributes.", "external_ids."],
            Self::Touchpoints => &[
                "properties.",
                "customer.external_ids.",
                "channel.external_ids.",
                "organization.external_ids.",
            ],
        }
    }

    /// How a cell of this field is read; `None` where there is no such field.
    pub fn cell(self, path: &str) -> Option<Cell> {
        let is_open = |open: &&&str| path.strip_prefix(**open).is_some_and(|key| !key.is_empty());
        match self.fields().iter().find(|field| field.path == path) {
            Some(field) => Some(field.cell),
            None => self.open_fields().iter().find(is_open).map(|_| Cell::Text),
        }
    }

    /// The field that a column's name suggests.
    pub fn suggest(self, column: &str) -> Option<String> {
        let column = column.trim();
        if self.cell(column).is_some() {
            return Some(column.to_owned());
        }
        let name = normal(column);
        let means =
            |field: &&Field| normal(field.path) == name || field.synonyms.contains(&name.as_str());
        self.fields().iter().find(means).map(|field| field.path.to_owned())
    }
}

/// A column's name without what differs between products: case, blanks and signs.
fn normal(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested(columns: &[&str]) -> Vec<Option<String>> {
        columns.iter().map(|column| BulkResource::Customers.suggest(column)).collect()
    }

    #[test]
    fn exports_of_other_products_are_recognised() {
        let some = |path: &str| Some(path.to_owned());
        let hubspot = ["Email", "First Name", "Phone Number", "Job Title", "Postal Code"];
        let expected = ["email", "first_name", "phone", "title", "address.postal_code"];
        assert_eq!(suggested(&hubspot), expected.map(some));
        let mailchimp = ["Email Address", "First Name", "Last Name", "MEMBER_RATING"];
        assert_eq!(suggested(&mailchimp), ["email", "first_name", "last_name", "score"].map(some));
        let shopify = ["Default Address Zip", "Default Address Country Code", "Tags"];
        let expected = ["address.postal_code", "address.country", "tags"];
        assert_eq!(suggested(&shopify), expected.map(some));
        assert_eq!(suggested(&["Vid", "attributes.size"]), [None, some("attributes.size")]);
    }

    #[test]
    fn a_name_means_one_field() {
        for resource in
            [BulkResource::Customers, BulkResource::Organizations, BulkResource::Touchpoints]
        {
            let mut seen = std::collections::BTreeSet::new();
            for field in resource.fields() {
                let own = normal(field.path);
                for name in field.synonyms.iter().map(ToString::to_string).chain([own.clone()]) {
                    assert_eq!(name, normal(&name), "{name}");
                    assert!(seen.insert(name.clone()) || name == own, "{resource}: {name}");
                }
            }
        }
    }
}
