//! What the shop and its customers say, in German, French and English.

use super::places::Language;

/// One sentence in every language of the shop; `{}` is filled in where it is said.
#[derive(Debug, Clone, Copy)]
pub struct Phrase {
    pub de: &'static str,
    pub fr: &'static str,
    pub en: &'static str,
}

impl Phrase {
    /// The sentence in one language.
    pub fn in_language(&self, language: Language) -> &'static str {
        match language {
            Language::De => self.de,
            Language::Fr => self.fr,
            Language::En => self.en,
        }
    }
}

/// Something customers want to know, and what the shop says to it.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    pub topic: &'static str,
    pub asked: Phrase,
    pub answer: Phrase,
}

pub const NEWSLETTER_SUBJECT: Phrase = Phrase {
    de: "Der Fels ist trocken: Kletterschuhe für den Frühling",
    fr: "Le rocher est sec : chaussons d'escalade pour le printemps",
    en: "The rock is dry: climbing shoes for spring",
};
pub const NEWSLETTER_TEXT: Phrase = Phrase {
    de: "Drei neue Modelle, eine Schuhprobe im Laden und die schönsten Südwände für März.",
    fr: "Trois nouveaux modèles, des essais en magasin et les plus belles faces sud de mars.",
    en: "Three new models, a try-on day in the shop and the best south faces for March.",
};
pub const ORDER_SUBJECT: Phrase = Phrase {
    de: "Danke! Deine Bestellung {}",
    fr: "Merci ! Votre commande {}",
    en: "Thank you! Your order {}",
};
pub const ORDER_TEXT: Phrase = Phrase {
    de: "Wir packen alles noch heute ein und melden uns, sobald das Paket unterwegs ist.",
    fr: "Nous préparons tout aujourd'hui et vous prévenons dès que le colis est en route.",
    en: "We pack everything today and write again as soon as the parcel is on its way.",
};
pub const PARCEL_TEXT: Phrase = Phrase {
    de: "Alpenglow: Dein Paket zu {} kommt heute. Nicht da? Antworte NACHBAR.",
    fr: "Alpenglow : votre colis {} arrive aujourd'hui. Absent ? Répondez VOISIN.",
    en: "Alpenglow: your parcel for {} comes today. Not in? Reply NEIGHBOUR.",
};
pub const CART_TEXT: Phrase = Phrase {
    de: "Dein Warenkorb wartet noch auf dich.",
    fr: "Votre panier vous attend encore.",
    en: "Your cart is still waiting for you.",
};
pub const SNOW_SUBJECT: Phrase =
    Phrase { de: "30 cm Neuschnee", fr: "30 cm de neige fraîche", en: "A foot of fresh snow" };
pub const SNOW_TEXT: Phrase = Phrase {
    de: "Der Schneebericht fürs Wochenende ist da, mit fünf Touren unter 35 Grad.",
    fr: "Le bulletin du week-end est là, avec cinq courses sous 35 degrés.",
    en: "The weekend snow report is in, with five tours below 35 degrees.",
};
pub const SURVEY_QUESTION: Phrase = Phrase {
    de: "Würdest du Alpenglow weiterempfehlen?",
    fr: "Recommanderiez-vous Alpenglow ?",
    en: "Would you recommend Alpenglow?",
};
pub const FITTING_SUBJECT: Phrase =
    Phrase { de: "Schuhanpassung", fr: "Essayage de chaussures", en: "Boot fitting" };
/// What the fitter writes down.
pub const FITTING_TEXTS: [Phrase; 3] = [
    Phrase {
        de: "Linker Fuß breiter; Schale 26,5 geweitet, Sohle angepasst.",
        fr: "Pied gauche plus large ; coque 26,5 élargie, semelle moulée.",
        en: "Left foot wider; stretched a 26.5 shell and moulded the footbed.",
    },
    Phrase {
        de: "Druckstelle am Knöchel; Innenschuh gebacken, in zwei Wochen nachsehen.",
        fr: "Point dur à la cheville ; chausson thermoformé, à revoir dans deux semaines.",
        en: "Pressure on the ankle; baked the liner, look again in two weeks.",
    },
    Phrase {
        de: "Hoher Spann; Karwendel in 43 mit neuer Schnürung, passt.",
        fr: "Cou-de-pied fort ; Karwendel en 43, nouveau laçage, ça va.",
        en: "High instep; Karwendel in 43 laced anew, fits.",
    },
];
pub const ASSORTMENT_SUBJECT: Phrase = Phrase {
    de: "Sortiment für den Sommer",
    fr: "Assortiment pour l'été",
    en: "The range for summer",
};
pub const ASSORTMENT_TEXT: Phrase = Phrase {
    de: "Gurte und Helme für die Kurse besprochen; Angebot folgt bis Mittwoch.",
    fr: "Baudriers et casques pour les stages passés en revue ; offre d'ici mercredi.",
    en: "Went through harnesses and helmets for the courses; quote by Wednesday.",
};
pub const CATALOGUE_SUBJECT: Phrase = Phrase {
    de: "Katalog Frühling und Sommer",
    fr: "Catalogue printemps et été",
    en: "Spring and summer catalogue",
};
pub const VOUCHER_SUBJECT: Phrase = Phrase {
    de: "Gutschein für Clubmitglieder",
    fr: "Bon d'achat pour les membres du club",
    en: "Voucher for club members",
};
pub const WARRANTY_SUBJECT: Phrase = Phrase {
    de: "Garantiekarte Couloir",
    fr: "Carte de garantie Couloir",
    en: "Couloir warranty card",
};

/// Lines of a survey by score: unhappy, content, delighted.
pub const COMMENTS: [[Phrase; 2]; 3] = [
    [
        Phrase {
            de: "Das Paket war drei Tage zu spät.",
            fr: "Le colis avait trois jours de retard.",
            en: "The parcel was three days late.",
        },
        Phrase {
            de: "Drei Leute gefragt, drei Antworten bekommen.",
            fr: "Trois personnes, trois réponses différentes.",
            en: "Asked three people and got three answers.",
        },
    ],
    [
        Phrase {
            de: "Alles gut, die Auswahl könnte größer sein.",
            fr: "Bien, mais le choix pourrait être plus large.",
            en: "All fine, the range could be wider.",
        },
        Phrase { de: "Passt.", fr: "Correct.", en: "Does the job." },
    ],
    [
        Phrase {
            de: "Beratung wie unter Freunden, gerne wieder!",
            fr: "Des conseils comme entre amis, je reviendrai !",
            en: "Advice like from a friend, will be back!",
        },
        Phrase {
            de: "Gestern bestellt, heute damit am Berg.",
            fr: "Commandé hier, en montagne aujourd'hui.",
            en: "Ordered yesterday, on the hill with it today.",
        },
    ],
];

/// What the browser's tab says on the first page.
pub const HOME_TITLE: Phrase = Phrase {
    de: "Ausrüstung für die Berge",
    fr: "Équipement de montagne",
    en: "Gear for the mountains",
};

/// What the department of a sport is called.
pub fn department(sport: &str) -> Phrase {
    match sport {
        "hiking" => Phrase { de: "Wandern", fr: "Randonnée", en: "Hiking" },
        "climbing" => Phrase { de: "Klettern", fr: "Escalade", en: "Climbing" },
        "skiing" => Phrase { de: "Ski", fr: "Ski", en: "Skiing" },
        _ => Phrase { de: "Laufen", fr: "Course à pied", en: "Running" },
    }
}

/// What people type into the search field.
pub const SEARCHES: [Phrase; 8] = [
    Phrase { de: "kletterschuhe", fr: "chaussons escalade", en: "climbing shoes" },
    Phrase { de: "regenjacke damen", fr: "veste pluie femme", en: "womens rain jacket" },
    Phrase { de: "steigfelle", fr: "peaux de phoque", en: "ski skins" },
    Phrase { de: "lvs gerät", fr: "dva", en: "avalanche beacon" },
    Phrase { de: "trailrunning", fr: "trail", en: "trail running" },
    Phrase { de: "gutschein", fr: "carte cadeau", en: "gift card" },
    Phrase { de: "hüttenschlafsack", fr: "drap de sac", en: "sleeping liner" },
    Phrase { de: "stirnlampe", fr: "lampe frontale", en: "headlamp" },
];

/// The questions of every day.
pub const QUESTIONS: [Question; 8] = [
    Question {
        topic: "size_advice",
        asked: Phrase {
            de: "Fällt der Granite Edge klein aus? Ich trage sonst 42.",
            fr: "Le Granite Edge taille-t-il petit ? Je fais du 42.",
            en: "Does the Granite Edge run small? I usually wear a 42.",
        },
        answer: Phrase {
            de: "Ja, eine halbe Nummer. Nimm 42,5, zurückschicken kostet nichts.",
            fr: "Oui, d'une demi-pointure. Prenez 42,5, le retour est gratuit.",
            en: "Yes, by half a size. Take 42.5, sending it back is free.",
        },
    },
    Question {
        topic: "delivery",
        asked: Phrase {
            de: "Wo bleibt mein Paket? Es sollte gestern kommen.",
            fr: "Où est mon colis ? Il devait arriver hier.",
            en: "Where is my parcel? It was due yesterday.",
        },
        answer: Phrase {
            de: "Es ist im Zustellwagen und kommt heute zwischen 12 und 16 Uhr.",
            fr: "Il est dans la camionnette et arrive entre midi et 16 h.",
            en: "It is on the van and comes today between noon and four.",
        },
    },
    Question {
        topic: "stock",
        asked: Phrase {
            de: "Habt ihr die Gletscherbrille noch im Laden?",
            fr: "Avez-vous encore les lunettes glacier en magasin ?",
            en: "Do you still have the glacier sunglasses in the shop?",
        },
        answer: Phrase {
            de: "Drei Stück. Eine liegt bis heute Abend für dich an der Kasse.",
            fr: "Trois paires. Une vous attend à la caisse jusqu'à ce soir.",
            en: "Three pairs. One waits for you at the till until tonight.",
        },
    },
    Question {
        topic: "return",
        asked: Phrase {
            de: "Kann ich die Regenjacke ungetragen zurückgeben?",
            fr: "Puis-je rendre la veste de pluie, jamais portée ?",
            en: "Can I return the rain jacket? I never wore it.",
        },
        answer: Phrase {
            de: "Klar, 60 Tage lang. Das Etikett liegt im Paket.",
            fr: "Bien sûr, pendant 60 jours. L'étiquette est dans le colis.",
            en: "Sure, for 60 days. The label is in the parcel.",
        },
    },
    Question {
        topic: "advice",
        asked: Phrase {
            de: "Welches Seil nehmt ihr für leichte Mehrseillängen?",
            fr: "Quelle corde pour des grandes voies faciles ?",
            en: "Which rope would you take for easy multi-pitch?",
        },
        answer: Phrase {
            de: "Das Kaiser 9,5 mm mit 60 m; das imprägnierte, wenn du auch auf Gletscher gehst.",
            fr: "La Kaiser 9,5 mm en 60 m, traitée si vous allez aussi sur glacier.",
            en: "The Kaiser 9.5 mm in 60 m; the dry one if you also go on glaciers.",
        },
    },
    Question {
        topic: "repair",
        asked: Phrase {
            de: "Könnt ihr meine Kletterschuhe neu besohlen?",
            fr: "Pouvez-vous ressemeler mes chaussons ?",
            en: "Can you resole my climbing shoes?",
        },
        answer: Phrase {
            de: "Gern, das dauert zwei Wochen. Bring sie vorbei oder schick sie ein.",
            fr: "Volontiers, il faut deux semaines. Apportez-les ou envoyez-les.",
            en: "Gladly, it takes two weeks. Drop them off or send them in.",
        },
    },
    Question {
        topic: "invoice",
        asked: Phrase {
            de: "Ich brauche die Rechnung noch einmal als PDF.",
            fr: "Il me faudrait la facture en PDF.",
            en: "I need the invoice again as a PDF.",
        },
        answer: Phrase {
            de: "Ist in einer Minute in deinem Postfach.",
            fr: "Elle sera dans votre boîte dans une minute.",
            en: "It will be in your inbox in a minute.",
        },
    },
    Question {
        topic: "workshop",
        asked: Phrase {
            de: "Wann sind meine Ski fertig gewachst?",
            fr: "Quand mes skis seront-ils fartés ?",
            en: "When will my skis be waxed?",
        },
        answer: Phrase {
            de: "Heute ab 15 Uhr kannst du sie holen.",
            fr: "Vous pouvez les prendre aujourd'hui dès 15 h.",
            en: "You can pick them up from three today.",
        },
    },
];
