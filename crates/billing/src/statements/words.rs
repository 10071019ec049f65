//! The words of a PDF in both languages, and how figures are written in them.

use mai_primitives::{Pln, Usd};

use super::parties::Language;

/// No-break space.
const NBSP: char = '\u{a0}';

/// The words of a language.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) draft_title: &'static str,
    pub(crate) draft_notice: &'static str,
    pub(crate) period: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) issue_date: &'static str,
    pub(crate) seller: &'static str,
    pub(crate) buyer: &'static str,
    pub(crate) tax_id: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) usage_columns: [&'static str; 8],
    pub(crate) subscription: &'static str,
    pub(crate) subscription_columns: [&'static str; 5],
    pub(crate) full_month: &'static str,
    pub(crate) part_of_month: &'static str,
    pub(crate) corrections: &'static str,
    pub(crate) correction_columns: [&'static str; 7],
    pub(crate) corrections_note: &'static str,
    pub(crate) sum: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) usage_usd: &'static str,
    pub(crate) net: &'static str,
    pub(crate) vat: &'static str,
    pub(crate) not_applicable: &'static str,
    pub(crate) gross: &'static str,
    pub(crate) refund: &'static str,
    pub(crate) rate: &'static str,
    pub(crate) table: &'static str,
    pub(crate) of: &'static str,
    pub(crate) before_period_end: &'static str,
    pub(crate) before_issue_day: &'static str,
    pub(crate) no_rate: &'static str,
    pub(crate) rounding: &'static str,
    pub(crate) footer: &'static str,
}

pub(crate) const fn words(language: Language) -> &'static Words {
    match language {
        Language::Polish => &POLISH,
        Language::English => &ENGLISH,
    }
}

const POLISH: Words = Words {
    title: "Rozliczenie nr",
    draft_title: "Projekt rozliczenia za",
    draft_notice: "PROJEKT – dokument nie został wystawiony, a jego kwoty mogą się jeszcze zmienić.",
    period: "Okres rozliczeniowy:",
    zone: "strefa czasowa",
    issue_date: "Data wystawienia:",
    seller: "Sprzedawca",
    buyer: "Nabywca",
    tax_id: "NIP:",
    usage: "Wykorzystanie modeli",
    usage_columns: [
        "Model",
        "Dostawca",
        "Żądania",
        "Tokeny wejściowe",
        "Tokeny wyjściowe",
        "Tokeny razem",
        "Cena netto USD",
        "Netto PLN",
    ],
    subscription: "Subskrypcja użytkowników",
    subscription_columns: ["Opis", "Liczba", "Dni", "Cena za miesiąc PLN", "Netto PLN"],
    full_month: "Użytkownik, pełny miesiąc",
    part_of_month: "Użytkownik, część miesiąca",
    corrections: "Korekty wcześniejszych okresów",
    correction_columns: [
        "Okres",
        "Model",
        "Żądania",
        "Tokeny razem",
        "Zmiana netto USD",
        "Kurs (tabela NBP)",
        "Zmiana netto PLN",
    ],
    corrections_note: "Korekty obejmują użycie rozliczonych już okresów, które zmieniło się po wystawieniu ich rozliczeń. \
                       Przeliczono je po kursie, po którym dany okres rozliczono: do zapłaty jest różnica między kwotą \
                       całego użycia modelu w okresie a kwotami rozliczonymi wcześniej.",
    sum: "Razem",
    summary: "Podsumowanie",
    usage_usd: "Wykorzystanie i korekty razem, USD",
    net: "Netto",
    vat: "VAT",
    not_applicable: "nie dotyczy",
    gross: "Brutto",
    refund: "Kwota brutto jest ujemna: należy się Nabywcy od Sprzedawcy.",
    rate: "Kurs średni NBP:",
    table: "tabela nr",
    of: "z dnia",
    before_period_end: "ostatnia tabela przed ostatnim dniem okresu rozliczeniowego",
    before_issue_day: "ostatnia tabela przed dniem wystawienia",
    no_rate: "jeszcze nieznany",
    rounding: "Każdą pozycję w USD przeliczono na PLN i zaokrąglono do grosza; netto jest sumą pozycji, a VAT obliczono od \
               niej jeden raz.",
    footer: "Niniejszy dokument jest rozliczeniem i nie stanowi faktury VAT.",
};

const ENGLISH: Words = Words {
    title: "Statement no.",
    draft_title: "Draft statement of",
    draft_notice: "DRAFT – this document has not been issued, and its amounts may still change.",
    period: "Settlement period:",
    zone: "time zone",
    issue_date: "Date of issue:",
    seller: "Seller",
    buyer: "Buyer",
    tax_id: "Tax ID:",
    usage: "Usage of models",
    usage_columns: [
        "Model",
        "Provider",
        "Requests",
        "Input tokens",
        "Output tokens",
        "Total tokens",
        "Net price USD",
        "Net PLN",
    ],
    subscription: "Subscription of users",
    subscription_columns: ["Description", "Number", "Days", "Price per month PLN", "Net PLN"],
    full_month: "User, whole month",
    part_of_month: "User, part of the month",
    corrections: "Corrections of earlier periods",
    correction_columns: [
        "Period",
        "Model",
        "Requests",
        "Total tokens",
        "Net change USD",
        "Rate (NBP table)",
        "Net change PLN",
    ],
    corrections_note: "Corrections are about usage of periods that were settled before, as far as it changed after their \
                       statements were issued. They are converted at the rate at which the period was settled: what is charged \
                       is the amount of all usage of the model in the period without the amounts settled before.",
    sum: "Total",
    summary: "Summary",
    usage_usd: "Usage and corrections, USD",
    net: "Net",
    vat: "VAT",
    not_applicable: "not applicable",
    gross: "Gross",
    refund: "The gross amount is negative: the Seller owes it to the Buyer.",
    rate: "NBP mid rate:",
    table: "table no.",
    of: "of",
    before_period_end: "the last table before the last day of the settlement period",
    before_issue_day: "the last table before the day of issue",
    no_rate: "not known yet",
    rounding: "Each item in USD was converted to PLN and rounded to the grosz; net is the sum of the items, and VAT was \
               computed from it once.",
    footer: "This document is a settlement statement and not a VAT invoice.",
};

/// A whole number in groups of three.
pub(crate) fn whole(language: Language, number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(language, &number.unsigned_abs().to_string()))
}

/// Złoty with two decimals.
pub(crate) fn pln(language: Language, amount: Pln) -> String {
    decimal(language, &amount.to_string(), 2)
}

/// Dollars with so many decimals, which must be enough for the exact amount.
pub(crate) fn usd(language: Language, amount: Usd, places: usize) -> String {
    decimal(language, &amount.to_string(), places)
}

/// How many decimals the amounts of a column need, at least two.
pub(crate) fn places(amounts: impl IntoIterator<Item = Usd>) -> usize {
    let of = |amount: Usd| amount.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
    amounts.into_iter().map(of).fold(2, usize::max)
}

/// A decimal text as people of the language write it, with at least so many decimals.
pub(crate) fn decimal(language: Language, text: &str, places: usize) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let point = match language {
        Language::Polish => ',',
        Language::English => '.',
    };
    format!("{sign}{}{point}{decimals:0<places$}", grouped(language, whole))
}

/// Polish groups are parted by a no-break space and begin at five digits.
fn grouped(language: Language, digits: &str) -> String {
    let (separator, least) = match language {
        Language::Polish => (NBSP, 5),
        Language::English => (',', 4),
    };
    if digits.len() < least {
        return digits.to_owned();
    }
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_in_the_language() {
        let (pl, en) = (Language::Polish, Language::English);
        assert_eq!((whole(pl, 1234).as_str(), whole(pl, -12_345).as_str()), ("1234", "-12\u{a0}345"));
        assert_eq!(whole(en, 1234), "1,234");
        assert_eq!(pln(pl, Pln::from_grosz(1_234_568)), "12\u{a0}345,68");
        assert_eq!(pln(en, Pln::from_grosz(-5)), "-0.05");
        let amounts = [Usd::from_nanos(5_792_000), Usd::from_nanos(2_000_000_000)];
        let places = places(amounts);
        assert_eq!(amounts.map(|amount| usd(pl, amount, places)), ["0,005792", "2,000000"]);
    }
}
