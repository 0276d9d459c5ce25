//! Where Alpenglow's customers live and which language, money and clock go with the place.

use chrono_tz::Tz;
use serde::Serialize;

/// The countries Alpenglow delivers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Country {
    DE,
    AT,
    CH,
    FR,
    GB,
    US,
}

impl Country {
    /// What people pay with.
    pub fn currency(self) -> &'static str {
        match self {
            Country::DE | Country::AT | Country::FR => "EUR",
            Country::CH => "CHF",
            Country::GB => "GBP",
            Country::US => "USD",
        }
    }

    /// The `n`-th phone number (E.164, `n` below 100), from ranges that Bundesnetzagentur, Arcep,
    /// Ofcom and NANPA keep for fiction. Austria and Switzerland keep none, so theirs are near the
    /// sample numbers of Google's libphonenumber. All of them pass its validation.
    pub fn phone(self, n: usize) -> String {
        match self {
            Country::DE => format!("+4917139200{n:02}"),
            Country::AT => format!("+436641234{n:02}"),
            Country::CH => format!("+417812345{n:02}"),
            Country::FR => format!("+331990012{n:02}"),
            Country::GB => format!("+4420794600{n:02}"),
            Country::US => format!("+130355501{n:02}"),
        }
    }
}

/// The languages the shop speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    De,
    Fr,
    En,
}

impl Language {
    /// Its BCP 47 tag, also the first part of the shop's paths.
    pub fn tag(self) -> &'static str {
        match self {
            Language::De => "de",
            Language::Fr => "fr",
            Language::En => "en",
        }
    }
}

/// A town with everything that follows from living there.
#[derive(Debug)]
pub struct Place {
    pub country: Country,
    pub city: &'static str,
    pub postal_code: &'static str,
    /// State or canton, where addresses there show it.
    pub region: Option<&'static str>,
    pub language: Language,
    pub locale: &'static str,
    pub zone: Tz,
    /// Street names; `#` stands for the house number.
    pub streets: &'static [&'static str],
    /// Whether Alpenglow has a shop there.
    pub has_store: bool,
}

const GERMAN: Place = Place {
    country: Country::DE,
    city: "",
    postal_code: "",
    region: None,
    language: Language::De,
    locale: "de-DE",
    zone: Tz::Europe__Berlin,
    streets: &["Lindenstraße #", "Bergstraße #", "Am Mühlbach #", "Gartenweg #", "Schulgasse #"],
    has_store: false,
};
const AUSTRIAN: Place =
    Place { country: Country::AT, locale: "de-AT", zone: Tz::Europe__Vienna, ..GERMAN };
const SWISS: Place = Place {
    country: Country::CH,
    locale: "de-CH",
    zone: Tz::Europe__Zurich,
    streets: &["Seestrasse #", "Dorfstrasse #", "Kirchgasse #", "Rosenweg #", "Alpenstrasse #"],
    ..GERMAN
};
const FRENCH: Place = Place {
    country: Country::FR,
    language: Language::Fr,
    locale: "fr-FR",
    zone: Tz::Europe__Paris,
    streets: &["# rue des Alpes", "# avenue de la Gare", "# rue du Moulin", "# chemin des Crêtes"],
    ..GERMAN
};
const ROMAND: Place =
    Place { language: Language::Fr, locale: "fr-CH", streets: FRENCH.streets, ..SWISS };
const BRITISH: Place = Place {
    country: Country::GB,
    language: Language::En,
    locale: "en-GB",
    zone: Tz::Europe__London,
    streets: &[
        "# Mill Lane",
        "# Church Road",
        "# Station Road",
        "# Fell View",
        "# Victoria Street",
    ],
    ..GERMAN
};
const AMERICAN: Place = Place {
    country: Country::US,
    locale: "en-US",
    zone: Tz::America__Denver,
    streets: &["# Maple Street", "# Canyon Boulevard", "# Pearl Street", "# Cedar Avenue"],
    ..BRITISH
};

/// Where the hero lives, and where the first shop stands.
pub const MUNICH: Place =
    Place { city: "München", postal_code: "80469", has_store: true, ..GERMAN };

/// Every place, Munich first. A town that is listed twice has twice as many customers.
pub static PLACES: [Place; 31] = [
    MUNICH,
    Place { postal_code: "81541", ..MUNICH },
    Place { city: "Augsburg", postal_code: "86150", ..GERMAN },
    Place { city: "Berlin", postal_code: "10437", ..GERMAN },
    Place { city: "Hamburg", postal_code: "22765", ..GERMAN },
    Place { city: "Köln", postal_code: "50674", ..GERMAN },
    Place { city: "Freiburg im Breisgau", postal_code: "79098", ..GERMAN },
    Place { city: "Dresden", postal_code: "01099", ..GERMAN },
    Place { city: "Kempten (Allgäu)", postal_code: "87435", ..GERMAN },
    Place { city: "Innsbruck", postal_code: "6020", has_store: true, ..AUSTRIAN },
    Place { city: "Innsbruck", postal_code: "6020", has_store: true, ..AUSTRIAN },
    Place { city: "Salzburg", postal_code: "5020", ..AUSTRIAN },
    Place { city: "Wien", postal_code: "1070", ..AUSTRIAN },
    Place { city: "Dornbirn", postal_code: "6850", ..AUSTRIAN },
    Place { city: "Bern", postal_code: "3011", region: Some("BE"), has_store: true, ..SWISS },
    Place { city: "Bern", postal_code: "3014", region: Some("BE"), has_store: true, ..SWISS },
    Place { city: "Zürich", postal_code: "8004", region: Some("ZH"), ..SWISS },
    Place { city: "Luzern", postal_code: "6003", region: Some("LU"), ..SWISS },
    Place { city: "Lausanne", postal_code: "1003", region: Some("VD"), ..ROMAND },
    Place { city: "Sion", postal_code: "1950", region: Some("VS"), ..ROMAND },
    Place { city: "Grenoble", postal_code: "38000", ..FRENCH },
    Place { city: "Annecy", postal_code: "74000", ..FRENCH },
    Place { city: "Lyon", postal_code: "69004", ..FRENCH },
    Place { city: "Chamonix-Mont-Blanc", postal_code: "74400", ..FRENCH },
    Place { city: "Keswick", postal_code: "CA12 5DQ", ..BRITISH },
    Place { city: "Sheffield", postal_code: "S11 8TP", ..BRITISH },
    Place { city: "Edinburgh", postal_code: "EH6 5NA", ..BRITISH },
    Place { city: "London", postal_code: "N16 8JX", ..BRITISH },
    Place { city: "Boulder", postal_code: "80302", region: Some("CO"), ..AMERICAN },
    Place { city: "Salt Lake City", postal_code: "84103", region: Some("UT"), ..AMERICAN },
    Place {
        city: "Burlington",
        postal_code: "05401",
        region: Some("VT"),
        zone: Tz::America__New_York,
        ..AMERICAN
    },
];

/// The places of one country.
pub fn places_in(country: Country) -> Vec<&'static Place> {
    PLACES.iter().filter(|place| place.country == country).collect()
}
