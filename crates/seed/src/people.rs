//! Who the made-up organizations and their members are.

use mai_organization::client_organization::{MemberRole, openrouter_user_id};
use mai_primitives::{IdError, MarkupRate, OpenRouterUserId, OrganizationId, Usd, UserId};

use crate::random::Random;

const COMPANIES: [&str; 12] = [
    "Pracownia Żuraw",
    "Łąka i Synowie",
    "Młyn Danych",
    "Stocznia Północ",
    "Kancelaria Wiśniewski",
    "Ósma Strona",
    "Apteka pod Dębem",
    "Źródło Energii",
    "Huta Świt",
    "Biuro Podróży Gąska",
    "Drukarnia Ćma",
    "Sad Jabłoński",
];

const FEMALE: [&str; 12] = [
    "Anna",
    "Małgorzata",
    "Żaneta",
    "Łucja",
    "Katarzyna",
    "Bożena",
    "Zofia",
    "Grażyna",
    "Elżbieta",
    "Jagoda",
    "Święta",
    "Róża",
];

const MALE: [&str; 12] = [
    "Michał",
    "Łukasz",
    "Paweł",
    "Stanisław",
    "Jędrzej",
    "Wojciech",
    "Kuba",
    "Błażej",
    "Radosław",
    "Józef",
    "Marek",
    "Sławomir",
];

/// A woman's and a man's form.
const SURNAMES: [(&str, &str); 12] = [
    ("Wiśniewska", "Wiśniewski"),
    ("Wójcik", "Wójcik"),
    ("Dąbrowska", "Dąbrowski"),
    ("Kamińska", "Kamiński"),
    ("Zielińska", "Zieliński"),
    ("Woźniak", "Woźniak"),
    ("Kozłowska", "Kozłowski"),
    ("Gałązka", "Gałązka"),
    ("Jabłońska", "Jabłoński"),
    ("Brzęczyszczykiewicz", "Brzęczyszczykiewicz"),
    ("Król", "Król"),
    ("Żółkiewska", "Żółkiewski"),
];

/// Requests on a busy day at the end of the plan, in thousandths: few use much, many use little.
const HABITS: [u64; 12] =
    [34_000, 22_000, 15_000, 11_000, 8_000, 6_000, 5_000, 12_000, 3_500, 2_000, 900, 250];

/// The place of the member who left, and how many days before the end of the plan.
const LEFT: (u64, u64) = (7, 75);

/// The place of the member who came last, and how many days before the end of the plan.
const NEW: (u64, u64) = (8, 20);

/// A made-up organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Organization {
    pub(crate) number: u64,
    pub(crate) id: OrganizationId,
    pub(crate) name: String,
    pub(crate) billing_email: String,
    pub(crate) markup_rate: MarkupRate,
    pub(crate) monthly_limit: Usd,
    /// In the order of their ids.
    pub(crate) members: Vec<Member>,
}

/// A made-up member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) user_id: UserId,
    pub(crate) openrouter_user_id: OpenRouterUserId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: MemberRole,
    /// Requests on a busy day at the end of the plan, in thousandths.
    pub(crate) habit: u64,
    /// Places in the catalogue, the most liked first.
    pub(crate) favourites: [u64; 3],
    /// How many days before the end of the plan the member came; none for the very beginning.
    pub(crate) came: Option<u64>,
    /// How many days before the end of the plan the member was there for the last time.
    pub(crate) left: Option<u64>,
}

impl Member {
    /// Whether the member belongs to the organization `age` days before the end of the plan.
    pub(crate) fn is_there(&self, age: u64) -> bool {
        self.came.is_none_or(|came| age <= came) && self.left.is_none_or(|left| age >= left)
    }
}

/// The organization with a number, 0 being the first, of a seed.
pub(crate) fn organization(seed: u64, number: u64, members: u64) -> Result<Organization, IdError> {
    let mut random = Random::keyed(&[seed, number]);
    let id = OrganizationId::new(format!("org_seed{seed}_{}", number + 1))?;
    let company = at(&COMPANIES, number);
    let name = match number / 12 {
        0 => format!("{company} sp. z o.o."),
        more => format!("{company} {} sp. z o.o.", more + 1),
    };
    let domain = format!("{}.example", plain(company).replace(' ', "-"));
    let mut members = (0..members)
        .map(|place| member(&id, &domain, place, &mut random))
        .collect::<Result<Vec<Member>, IdError>>()?;
    members.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    // The first organization has the usual rate; the others lie between 1.2 and 1.55.
    let surcharge = if number == 0 { 100_000 } else { i64::try_from(random.below(8) * 50_000).unwrap_or(0) };
    Ok(Organization {
        number,
        id,
        name,
        billing_email: format!("faktury@{domain}"),
        markup_rate: MarkupRate::from_ppm(1_200_000 + surcharge).unwrap_or(MarkupRate::DEFAULT),
        monthly_limit: Usd::from_nanos(250_000_000_000),
        members,
    })
}

fn member(
    organization: &OrganizationId,
    domain: &str,
    place: u64,
    random: &mut Random,
) -> Result<Member, IdError> {
    let (surname_of_woman, surname_of_man) = at(&SURNAMES, random.below(12));
    // Twelve places a gender, so that the members of a small organization have names of their own.
    let (first, last) = if place.is_multiple_of(2) {
        (at(&FEMALE, place / 2), surname_of_woman)
    } else {
        (at(&MALE, place / 2), surname_of_man)
    };
    let number = if place < 24 { String::new() } else { (place / 24 + 1).to_string() };
    let user_id = UserId::new(uuid(random))?;
    Ok(Member {
        openrouter_user_id: openrouter_user_id(organization, &user_id)?,
        user_id,
        name: format!("{first} {last}"),
        email: format!("{}.{}{number}@{domain}", plain(first), plain(last)),
        role: if place == 0 { MemberRole::Admin } else { MemberRole::Member },
        habit: at(&HABITS, place),
        favourites: [random.below(12), random.below(12), random.below(12)],
        came: (place == NEW.0).then_some(NEW.1),
        left: (place == LEFT.0).then_some(LEFT.1),
    })
}

/// The element at a place, beginning again after the last.
fn at<T: Copy + Default, const N: usize>(choices: &[T; N], place: u64) -> T {
    let place = usize::try_from(place).unwrap_or(0);
    choices.iter().cycle().nth(place.checked_rem(N).unwrap_or(0)).copied().unwrap_or_default()
}

/// The form of Open WebUI's user ids: a random UUID.
fn uuid(random: &mut Random) -> String {
    let mut hex = format!("{:016x}{:016x}", random.next(), random.next());
    hex.replace_range(12..13, "4");
    hex.replace_range(16..17, "a");
    for place in [20, 16, 12, 8] {
        hex.insert(place, '-');
    }
    hex
}

/// Lower case without the signs that Polish adds to Latin letters, for addresses.
fn plain(text: &str) -> String {
    let letter = |character: char| match character {
        'ą' => 'a',
        'ć' => 'c',
        'ę' => 'e',
        'ł' => 'l',
        'ń' => 'n',
        'ó' => 'o',
        'ś' => 's',
        'ź' | 'ż' => 'z',
        other => other,
    };
    text.to_lowercase().chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_first_organization_is_a_company_of_twelve() {
        let organization = organization(1, 0, 12).unwrap();
        assert_eq!(organization.name, "Pracownia Żuraw sp. z o.o.");
        assert_eq!(organization.billing_email, "faktury@pracownia-zuraw.example");
        let members = &organization.members;
        assert_eq!(members.iter().filter(|member| member.role == MemberRole::Admin).count(), 1);
        assert_eq!(members.iter().filter(|member| member.left.is_some()).count(), 1);
        assert_eq!(members.iter().filter(|member| member.came.is_some()).count(), 1);
        let names: HashSet<_> = members.iter().map(|member| &member.name).collect();
        assert_eq!(names.len(), 12);
        assert!(members.iter().all(|member| member.email.is_ascii()));
        assert!(members.is_sorted_by_key(|member| &member.user_id));
    }

    #[test]
    fn addresses_and_ids_stay_apart_in_a_large_organization() {
        let organization = organization(1, 5, 500).unwrap();
        let ids: HashSet<_> = organization.members.iter().map(|member| &member.user_id).collect();
        let external: HashSet<_> =
            organization.members.iter().map(|member| &member.openrouter_user_id).collect();
        assert_eq!((ids.len(), external.len()), (500, 500));
        let id = organization.members[0].user_id.as_str();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
    }

    #[test]
    fn a_member_is_there_between_coming_and_leaving() {
        let mut member = organization(1, 0, 1).unwrap().members.remove(0);
        assert!(member.is_there(0) && member.is_there(9_999));
        (member.came, member.left) = (Some(20), Some(10));
        let days: Vec<u64> = (0..30).filter(|age| member.is_there(*age)).collect();
        assert_eq!(days, (10..=20).collect::<Vec<_>>());
    }
}
