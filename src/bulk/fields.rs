//! The fields that columns of a file can be mapped to, and which one a column's name suggests.

use std::collections::HashSet;

use super::mapping::Mapping;
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
    /// A decimal such as `19.90`, in the currency of the row.
    Amount,
    /// RFC 3339, or as shops write it: `2026-03-01 10:00:00 +0100`.
    Time,
    /// Yes or no.
    Flag,
    /// The first of several addresses of pages or pictures.
    Link,
    /// A list or an object, as our exports write it.
    Json,
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

const fn amount(path: &'static str, synonyms: &'static [&'static str]) -> Field {
    Field { path, cell: Cell::Amount, synonyms }
}

const fn time(path: &'static str, synonyms: &'static [&'static str]) -> Field {
    Field { path, cell: Cell::Time, synonyms }
}

const fn nested(path: &'static str) -> Field {
    Field { path, cell: Cell::Json, synonyms: &[] }
}

/// No `Birthday`: Mailchimp writes a day without its year there. No names of countries: two letters are.
const CUSTOMERS: &[Field] = &[
    text("id", &[]),
    text(
        "email",
        &[
            "emailaddress",
            "mail",
            "customeremail",
            "primaryemail",
            "emailadresse",
            "mailadresse",
            "adresseemail",
            "adressemail",
            "adresseélectronique",
            "courriel",
            "correoelectrónico",
            "correoelectronico",
            "correo",
        ],
    ),
    text(
        "phone",
        &[
            "phonenumber",
            "mobile",
            "mobilephone",
            "mobilephonenumber",
            "telephone",
            "tel",
            "telefon",
            "telefonnummer",
            "handy",
            "handynummer",
            "mobil",
            "mobiltelefon",
            "téléphone",
            "numérodetéléphone",
            "téléphoneportable",
            "portable",
            "teléfono",
            "telefono",
            "móvil",
            "movil",
        ],
    ),
    text(
        "first_name",
        &["firstname", "givenname", "fname", "vorname", "prénom", "prenom", "nombre"],
    ),
    text(
        "last_name",
        &[
            "lastname",
            "surname",
            "familyname",
            "lname",
            "nachname",
            "familienname",
            "nom",
            "nomdefamille",
            "apellido",
            "apellidos",
        ],
    ),
    text("display_name", &["name", "fullname"]),
    text("title", &["jobtitle", "salutation", "anrede", "civilité", "tratamiento"]),
    text(
        "birth_date",
        &["dateofbirth", "dob", "geburtsdatum", "datedenaissance", "fechadenacimiento"],
    ),
    text("gender", &["sex", "geschlecht", "sexe", "sexo"]),
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
    text(
        "address.line1",
        &[
            "streetaddress",
            "street",
            "address1",
            "defaultaddressaddress1",
            "straße",
            "strasse",
            "straßehausnummer",
            "straßeundhausnummer",
            "adresse",
            "rue",
            "calle",
            "dirección",
            "direccion",
        ],
    ),
    text("address.line2", &["address2", "defaultaddressaddress2", "adresszusatz"]),
    text(
        "address.city",
        &[
            "city",
            "town",
            "defaultaddresscity",
            "ort",
            "stadt",
            "wohnort",
            "ville",
            "ciudad",
            "localidad",
        ],
    ),
    text(
        "address.region",
        &["region", "state", "stateregion", "province", "defaultaddressprovincecode"],
    ),
    text(
        "address.postal_code",
        &[
            "postalcode",
            "zip",
            "zipcode",
            "plz",
            "defaultaddresszip",
            "postleitzahl",
            "codepostal",
            "códigopostal",
            "codigopostal",
        ],
    ),
    text(
        "address.country",
        &[
            "countrycode",
            "countryregioncode",
            "defaultaddresscountrycode",
            "ländercode",
            "codepays",
            "códigodepaís",
        ],
    ),
    nested("external_ids"),
    nested("addresses"),
    nested("acquisition"),
    nested("preferences"),
    nested("attributes"),
];

const ORGANIZATIONS: &[Field] = &[
    text("id", &[]),
    text("name", &["companyname", "company", "organization", "organisation"]),
    list("domains", &["domain", "companydomainname", "website"]),
    text("industry", &[]),
    integer("employees_count", &["numberofemployees", "employees"]),
    integer("annual_revenue.amount", &[]),
    text("annual_revenue.decimal", &["annualrevenue"]),
    text("annual_revenue.currency", &[]),
    text("parent_id", &[]),
    text("owner_id", &[]),
    list("tags", &["labels"]),
    nested("external_ids"),
    nested("attributes"),
];

const TOUCHPOINTS: &[Field] = &[
    text("id", &[]),
    text("type", &["event", "eventtype"]),
    text("name", &["eventname"]),
    word("direction", &[]),
    time("occurred_at", &["timestamp", "time", "date", "datetime", "eventtime"]),
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
    text("value.decimal", &["value"]),
    text("value.currency", &["currency"]),
    text("content.subject", &["subject"]),
    text("content.text", &["message", "body"]),
    nested("content"),
    nested("context"),
    nested("properties"),
];

const PRODUCTS: &[Field] = &[
    text("id", &[]),
    text("name", &["title", "productname", "producttitle"]),
    text("sku", &["variantsku", "stockkeepingunit", "articlenumber", "artikelnummer"]),
    text("description", &["body", "bodyhtml"]),
    text("brand", &["vendor", "manufacturer"]),
    // WooCommerce calls the kind of a product `Type`, such as `simple`, and has `Categories` besides.
    text("category", &["categories", "productcategory", "producttype", "type"]),
    amount("price", &["variantprice", "regularprice"]),
    text("currency", &["pricecurrency"]),
    text("url", &["link", "producturl", "permalink"]),
    Field { path: "image_url", cell: Cell::Link, synonyms: &["imagesrc", "imagelink", "images"] },
    word("status", &[]),
    list("tags", &["labels"]),
    time("source_updated_at", &[]),
    nested("external_ids"),
    nested("attributes"),
];

/// Sums of the lines are computed, whatever the file says: shops take them with and without discounts.
const ORDERS: &[Field] = &[
    text("id", &[]),
    text("number", &["name", "ordernumber", "order", "orderno"]),
    text("source", &[]),
    text("currency", &["ordercurrency"]),
    text("email", &["emailaddress", "customeremail", "billingemail"]),
    text("phone", &["phonenumber", "customerphone"]),
    text("customer.id", &[]),
    text("customer.email", &[]),
    text("customer.phone", &[]),
    text("customer.user_id", &[]),
    word("status", &["orderstatus"]),
    word("financial_status", &["paymentstatus"]),
    word("fulfillment_status", &["shippingstatus"]),
    amount("discount_total", &["discountamount", "cartdiscountamount", "orderdiscount"]),
    amount("tax_total", &["taxes", "tax", "ordertotaltaxamount"]),
    amount("shipping_total", &["shipping", "ordershippingamount"]),
    amount("fee_total", &["duties", "orderfees"]),
    amount("total", &["ordertotal", "ordertotalamount", "totalprice"]),
    amount("paid_total", &["amountpaid"]),
    Field { path: "is_tax_included", cell: Cell::Flag, synonyms: &["taxesincluded"] },
    amount("refund.amount", &["refundedamount", "orderrefundamount", "refundedtotal"]),
    text("channel_id", &[]),
    list("discount_codes", &["discountcode", "couponcode", "coupons"]),
    text("note", &["notes", "customernote"]),
    text("cancel_reason", &[]),
    time("placed_at", &["createdat", "orderdate", "date"]),
    time("paid_at", &["paiddate"]),
    time("fulfilled_at", &["completeddate"]),
    time("cancelled_at", &[]),
    time("source_updated_at", &["updatedat", "modifieddate"]),
    list("tags", &["labels"]),
    text("utm.source", &[]),
    text("utm.medium", &[]),
    text("utm.campaign", &[]),
    text("billing_address.first_name", &["billingfirstname"]),
    text("billing_address.last_name", &["billinglastname"]),
    text("billing_address.company", &["billingcompany"]),
    text("billing_address.phone", &["billingphone"]),
    text("billing_address.line1", &["billingaddress1"]),
    text("billing_address.line2", &["billingaddress2"]),
    text("billing_address.city", &["billingcity"]),
    text("billing_address.region", &["billingprovince", "billingstate"]),
    text("billing_address.postal_code", &["billingzip", "billingpostcode"]),
    text("billing_address.country", &["billingcountry"]),
    text("shipping_address.first_name", &["shippingfirstname"]),
    text("shipping_address.last_name", &["shippinglastname"]),
    text("shipping_address.company", &["shippingcompany"]),
    text("shipping_address.phone", &["shippingphone"]),
    text("shipping_address.line1", &["shippingaddress1"]),
    text("shipping_address.line2", &["shippingaddress2"]),
    text("shipping_address.city", &["shippingcity"]),
    text("shipping_address.region", &["shippingprovince", "shippingstate"]),
    text("shipping_address.postal_code", &["shippingzip", "shippingpostcode"]),
    text("shipping_address.country", &["shippingcountry"]),
    text("line_item.external_id", &["lineitemid", "itemid"]),
    text("line_item.product_id", &[]),
    text("line_item.product_external_id", &["itemproductid"]),
    text("line_item.sku", &["sku", "itemsku", "productsku"]),
    text("line_item.name", &["itemname", "productname"]),
    text("line_item.variant", &["itemvariant", "productvariation"]),
    integer("line_item.quantity", &["quantity", "qty", "itemquantity"]),
    amount("line_item.unit_price", &["lineitemprice", "unitprice", "itemprice", "itemcost"]),
    amount("line_item.discount_total", &["lineitemdiscount", "itemdiscount"]),
    amount("line_item.tax_total", &["itemtax"]),
    amount("line_item.total", &["itemtotal"]),
    nested("external_ids"),
    nested("line_items"),
    nested("billing_address"),
    nested("shipping_address"),
    nested("utm"),
    nested("attributes"),
];

impl BulkResource {
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Customers => CUSTOMERS,
            Self::Organizations => ORGANIZATIONS,
            Self::Touchpoints => TOUCHPOINTS,
            Self::Products => PRODUCTS,
            Self::Orders => ORDERS,
            Self::Carts => &[],
        }
    }

    /// Paths that end in a name of the company's own.
    pub fn open_fields(self) -> &'static [&'static str] {
        match self {
            Self::Customers | Self::Organizations | Self::Products => {
                &["attributes.", "external_ids."]
            }
            Self::Orders => &["attributes.", "external_ids.", "customer.external_ids."],
            Self::Carts => &[],
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

    /// What files call the id of a record in the system that they come from.
    fn ids(self) -> &'static [&'static str] {
        match self {
            Self::Customers => &["id", "customerid", "recordid", "vid"],
            Self::Organizations => &["id", "companyid", "recordid"],
            Self::Touchpoints | Self::Carts => &[],
            Self::Products => &["id", "productid", "handle"],
            Self::Orders => &["id", "orderid"],
        }
    }

    /// The fields that the names of columns suggest, in a file from `source` if that is known. Where
    /// several suggest one, the name that says it best wins, then the first.
    pub fn suggestions(self, columns: &[String], source: Option<&str>) -> Mapping {
        let has = |name: &str| columns.iter().any(|column| column == name);
        let is_own = has("id") && (has("external_ids") || has("received_at"));
        let meant = columns.iter().enumerate().filter_map(|(at, column)| {
            let (rank, field) = match column.as_str() {
                "id" if is_own => (0, column.clone()),
                _ => self.suggest(column, source)?,
            };
            Some((rank, at, field))
        });
        let mut meant: Vec<(usize, usize, String)> = meant.collect();
        meant.sort();
        let mut taken = HashSet::new();
        meant.retain(|(.., field)| taken.insert(field.clone()));
        meant.into_iter().map(|(_, at, field)| (columns[at].clone(), field)).collect()
    }

    /// The field that a column's name suggests; the smaller the number, the better it says so.
    fn suggest(self, column: &str, source: Option<&str>) -> Option<(usize, String)> {
        // Ids are of other systems nearly always.
        if column != "id" && self.cell(column).is_some() {
            return Some((0, column.to_owned()));
        }
        let name = normal(column);
        let own =
            self.fields().iter().find(|field| field.path != "id" && normal(field.path) == name);
        let rank_of = |field: &'static Field| {
            let at = field.synonyms.iter().position(|synonym| *synonym == name)?;
            Some((at + 2, field.path.to_owned()))
        };
        let field = own.map(|field| (1, field.path.to_owned()));
        let id = || {
            let at = self.ids().iter().position(|id| *id == name)?;
            Some((at + 2, format!("external_ids.{}", source?)))
        };
        field.or_else(|| self.fields().iter().find_map(rank_of)).or_else(id)
    }
}

/// A column's name without what differs between products: case, blanks and signs.
pub fn normal(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested(columns: &[&str]) -> Vec<Option<String>> {
        let suggest = |column: &&str| BulkResource::Customers.suggest(column, None);
        columns.iter().map(|column| suggest(column).map(|(_, field)| field)).collect()
    }

    fn of_shop(resource: BulkResource, columns: &[&str]) -> Vec<String> {
        let suggest = |column: &&str| resource.suggest(column, Some("shop"));
        columns.iter().map(|column| suggest(column).unwrap_or_default().1).collect()
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
    fn orders_and_products_of_shops_are_recognised() {
        let shopify = ["Name", "Id", "Financial Status", "Taxes", "Lineitem price", "Billing Zip"];
        let expected = ["number", "external_ids.shop", "financial_status", "tax_total"];
        let lines = ["line_item.unit_price", "billing_address.postal_code"];
        assert_eq!(of_shop(BulkResource::Orders, &shopify), [&expected[..], &lines].concat());
        let woo = ["order_id", "order_date", "order_currency", "billing_email", "order_total"];
        let expected = ["external_ids.shop", "placed_at", "currency", "email", "total"];
        assert_eq!(of_shop(BulkResource::Orders, &woo), expected);
        let shopify = ["Handle", "Title", "Vendor", "Variant SKU", "Variant Price", "Image Src"];
        let expected = ["external_ids.shop", "name", "brand", "sku", "price", "image_url"];
        assert_eq!(of_shop(BulkResource::Products, &shopify), expected);
        assert_eq!(BulkResource::Orders.suggest("Id", None), None);
    }

    #[test]
    fn the_name_that_says_it_best_fills_a_field() {
        let of = |columns: &[&str], source: Option<&str>| {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            BulkResource::Products.suggestions(&columns, source)
        };
        let woo = of(&["ID", "Type", "SKU", "Name", "Categories", "Images"], Some("woo"));
        assert_eq!((woo.get("Type"), woo["Categories"].as_str()), (None, "category"));
        assert_eq!((&*woo["ID"], &*woo["Images"]), ("external_ids.woo", "image_url"));
        assert_eq!(of(&["Type"], None)["Type"], "category");
        assert_eq!(of(&["id", "external_ids"], Some("shop"))["id"], "id", "an export of ours");
        assert_eq!(of(&["id", "name"], Some("shop"))["id"], "external_ids.shop");
    }

    #[test]
    fn names_in_other_languages_are_known() {
        let german = ["E-Mail-Adresse", "Telefon", "Ort", "Straße", "PLZ", "Geburtsdatum"];
        let expected = ["email", "phone", "address.city", "address.line1", "address.postal_code"];
        let some = |path: &str| Some(path.to_owned());
        assert_eq!(
            suggested(&german),
            [&expected[..], &["birth_date"]]
                .concat()
                .iter()
                .map(|path| some(path))
                .collect::<Vec<_>>()
        );
        let french = ["Adresse e-mail", "Prénom", "Nom", "Téléphone", "Ville", "Code postal"];
        let spanish =
            ["Correo electrónico", "Nombre", "Apellidos", "Teléfono", "Ciudad", "Código postal"];
        let french_fields =
            ["email", "first_name", "last_name", "phone", "address.city", "address.postal_code"];
        let spanish_fields =
            ["email", "first_name", "last_name", "phone", "address.city", "address.postal_code"];
        assert_eq!(suggested(&french), french_fields.map(some));
        assert_eq!(suggested(&spanish), spanish_fields.map(some));
        assert_eq!(suggested(&["Birthday", "Land"]), [None, None]);
    }

    #[test]
    fn a_name_means_one_field() {
        use BulkResource::{Customers, Orders, Organizations, Products, Touchpoints};
        for resource in [Customers, Organizations, Touchpoints, Products, Orders] {
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
