//! How texts for people are put in order, in one place, because in SQL their order depends on the database's
//! locale.

/// A text in the form in which texts are sorted: without regard to case, and each Polish letter behind
/// the one that it is made of.
pub fn sortable(text: &str) -> String {
    let mut sortable = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        let (base, mark) = match letter {
            'ą' => ('a', Some('\u{10ffff}')),
            'ć' => ('c', Some('\u{10ffff}')),
            'ę' => ('e', Some('\u{10ffff}')),
            'ł' => ('l', Some('\u{10ffff}')),
            'ń' => ('n', Some('\u{10ffff}')),
            'ó' => ('o', Some('\u{10ffff}')),
            'ś' => ('s', Some('\u{10ffff}')),
            'ź' => ('z', Some('\u{10fffe}')),
            'ż' => ('z', Some('\u{10ffff}')),
            other => (other, None),
        };
        sortable.push(base);
        sortable.extend(mark);
    }
    sortable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polish_names_stand_where_a_pole_looks_for_them() {
        let mut names =
            ["Zofia", "Żaneta", "Łucja", "Lucyna", "Ludwik", "ąę", "Azor", "Źrebak", "ola", "Ólaf", "Ox"];
        names.sort_by_key(|name| sortable(name));
        assert_eq!(
            names,
            ["Azor", "ąę", "Lucyna", "Ludwik", "Łucja", "ola", "Ox", "Ólaf", "Zofia", "Źrebak", "Żaneta"]
        );
    }
}
