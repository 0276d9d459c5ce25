//! First and last names as they are common in each country.

use super::places::{Country, Language, Place};

/// Names to combine.
pub struct Names {
    pub first: &'static [&'static str],
    pub last: &'static [&'static str],
}

const GERMAN: Names = Names {
    first: &[
        "Anna",
        "Lena",
        "Katharina",
        "Sophie",
        "Miriam",
        "Julia",
        "Hannah",
        "Franziska",
        "Claudia",
        "Nele",
        "Ayşe",
        "Lukas",
        "Jonas",
        "Felix",
        "Maximilian",
        "Tobias",
        "Matthias",
        "Stefan",
        "Emre",
        "Paul",
        "Florian",
        "Moritz",
    ],
    last: &[
        "Müller",
        "Schneider",
        "Fischer",
        "Weber",
        "Becker",
        "Hoffmann",
        "Schäfer",
        "Koch",
        "Richter",
        "Klein",
        "Wolf",
        "Schröder",
        "Neumann",
        "Zimmermann",
        "Krüger",
        "Hartmann",
        "Lange",
        "Vogel",
        "Kaya",
        "Nowak",
        "Sommer",
        "Brandt",
    ],
};
const AUSTRIAN: Names = Names {
    first: &[
        "Magdalena",
        "Theresa",
        "Elisabeth",
        "Johanna",
        "Verena",
        "Eva",
        "Marlene",
        "Sebastian",
        "Andreas",
        "Christoph",
        "Markus",
        "Simon",
        "David",
        "Valentin",
    ],
    last: &[
        "Gruber", "Huber", "Pichler", "Steiner", "Moser", "Mayr", "Hofer", "Leitner", "Egger",
        "Fuchs", "Auer", "Wallner", "Haas", "Kofler",
    ],
};
const SWISS: Names = Names {
    first: &[
        "Seraina", "Ursina", "Nina", "Corinne", "Daniela", "Rahel", "Flurina", "Reto", "Urs",
        "Beat", "Marco", "Adrian", "Jan", "Gian",
    ],
    last: &[
        "Meier", "Keller", "Zürcher", "Brunner", "Gerber", "Wyss", "Graf", "Bühler", "Frei",
        "Ammann", "Caduff", "Schmid", "Bachmann", "Widmer",
    ],
};
const FRENCH: Names = Names {
    first: &[
        "Camille",
        "Chloé",
        "Manon",
        "Léa",
        "Aurélie",
        "Inès",
        "Élise",
        "Théo",
        "Julien",
        "Antoine",
        "Baptiste",
        "Rémi",
        "François",
        "Hugo",
    ],
    last: &[
        "Martin", "Bernard", "Dubois", "Moreau", "Laurent", "Lefèvre", "Roux", "Fournier",
        "Girard", "Bonnet", "Mercier", "Faure", "Gauthier", "Benali",
    ],
};
const BRITISH: Names = Names {
    first: &[
        "Olivia",
        "Emily",
        "Isla",
        "Freya",
        "Priya",
        "Charlotte",
        "Niamh",
        "Oliver",
        "Harry",
        "Jack",
        "Callum",
        "Rhys",
        "Imran",
        "George",
    ],
    last: &[
        "Smith", "Taylor", "Davies", "Walker", "Thompson", "Campbell", "Patel", "Wright", "Hughes",
        "Fraser", "Bennett", "Shaw", "Khan", "Armitage",
    ],
};
const AMERICAN: Names = Names {
    first: &[
        "Emma", "Madison", "Abigail", "Grace", "Sofia", "Hailey", "Maya", "Ethan", "Mason",
        "Tyler", "Diego", "Caleb", "Andrew", "Wei",
    ],
    last: &[
        "Johnson", "Williams", "Garcia", "Anderson", "Nguyen", "Martinez", "Clark", "Lewis",
        "Young", "Rivera", "Carter", "Reed", "Chen", "Sullivan",
    ],
};

/// The names people have at a place; in Lausanne they are French.
pub fn names_at(place: &Place) -> &'static Names {
    match (place.country, place.language) {
        (Country::DE, _) => &GERMAN,
        (Country::AT, _) => &AUSTRIAN,
        (Country::CH, Language::De | Language::En) => &SWISS,
        (Country::CH, Language::Fr) | (Country::FR, _) => &FRENCH,
        (Country::GB, _) => &BRITISH,
        (Country::US, _) => &AMERICAN,
    }
}

/// A name the way it is written in an address of an email: `Schäfer` becomes `schaefer`.
pub fn in_ascii(name: &str) -> String {
    let mut plain = String::new();
    for letter in name.to_lowercase().chars() {
        match letter {
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'ß' => plain.push_str("ss"),
            'é' | 'è' | 'ê' => plain.push('e'),
            'ç' => plain.push('c'),
            'ş' => plain.push('s'),
            letter if letter.is_ascii_alphanumeric() => plain.push(letter),
            _ => {}
        }
    }
    plain
}
