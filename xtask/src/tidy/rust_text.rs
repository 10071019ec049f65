//! Just enough of Rust's grammar to look at code without its comments and strings.

use std::{iter::Peekable, str::Chars};

/// The text with every letter of comments, and everything inside of strings and characters, replaced by
/// `_`; lines stay. White space that belongs to a string's value is thereby not seen as white space.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = Code { rest: text.chars().peekable(), out: String::with_capacity(text.len()) };
    while let Some(character) = code.rest.next() {
        match character {
            '/' if code.rest.peek() == Some(&'/') => code.blank_line(),
            '/' if code.rest.peek() == Some(&'*') => code.blank_comment(),
            '"' => {
                code.out.push('"');
                code.blank_string();
            }
            '\'' => code.character_or_lifetime(),
            'r' if !code.is_inside_word() => code.raw_string_or_word(),
            other => code.out.push(other),
        }
    }
    code.out
}

struct Code<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Code<'_> {
    /// Takes one character of a string.
    fn blank(&mut self) -> Option<char> {
        let taken = self.rest.next()?;
        self.out.push(if taken == '\n' { '\n' } else { '_' });
        Some(taken)
    }

    /// Takes one character of a comment.
    fn blank_unless_space(&mut self) -> Option<char> {
        let taken = self.rest.next()?;
        self.out.push(if taken.is_whitespace() { taken } else { '_' });
        Some(taken)
    }

    fn blank_line(&mut self) {
        self.out.push('/');
        while self.rest.peek().is_some_and(|next| *next != '\n') {
            self.blank_unless_space();
        }
    }

    /// Comments nest.
    fn blank_comment(&mut self) {
        let mut depth = 1_u32;
        self.out.push('/');
        self.blank_unless_space();
        while depth > 0 {
            match (self.blank_unless_space(), self.rest.peek()) {
                (None, _) => return,
                (Some('/'), Some('*')) => {
                    self.blank_unless_space();
                    depth += 1;
                }
                (Some('*'), Some('/')) => {
                    self.blank_unless_space();
                    depth -= 1;
                }
                _ => {}
            }
        }
    }

    fn blank_string(&mut self) {
        while let Some(character) = self.blank() {
            match character {
                '\\' => {
                    self.blank();
                }
                '"' => return,
                _ => {}
            }
        }
    }

    /// `'x'` and `'\n'` are characters; `'a` without a closing quote is a lifetime.
    fn character_or_lifetime(&mut self) {
        self.out.push('\'');
        let mut ahead = self.rest.clone();
        let first = ahead.next();
        if first == Some('\\') {
            self.blank();
            self.blank();
            while self.blank().is_some_and(|character| character != '\'') {}
        } else if ahead.next() == Some('\'') {
            self.blank();
            self.blank();
        }
    }

    /// `r"…"` and `r#"…"#` with any number of `#`; everything else that begins with r is a word.
    fn raw_string_or_word(&mut self) {
        self.out.push('r');
        let mut ahead = self.rest.clone();
        let mut hashes = 0;
        while ahead.peek() == Some(&'#') {
            ahead.next();
            hashes += 1;
        }
        if ahead.next() != Some('"') {
            return;
        }
        for _ in 0..=hashes {
            self.blank();
        }
        let mut closing = None;
        while let Some(character) = self.blank() {
            closing = match (character, closing) {
                ('"', _) => Some(0),
                ('#', Some(count)) => Some(count + 1),
                _ => None,
            };
            if closing == Some(hashes) {
                return;
            }
        }
    }

    /// `br"…"` is a raw string as well, so b alone is no word.
    fn is_inside_word(&self) -> bool {
        let mut before = self.out.chars().rev();
        match before.next() {
            Some('b' | 'c') => before.next().is_some_and(is_word),
            last => last.is_some_and(is_word),
        }
    }
}

/// Part of a name or a number.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_go_and_code_stays() {
        for (text, gone, stays) in [
            ("a // f64\nb", "f64", "b"),
            ("a /* f64 /* f64 */ f64 */ b", "f64", "b"),
            ("a(\"f64 \\\" f64\") + b", "f64", "+ b"),
            ("r#\"f64 \" f64\"# + b", "f64", "+ b"),
            ("br\"f64\\\" + b", "f64", "+ b"),
            ("let x = '\"'; b; \"f64\"", "f64", "b;"),
            ("let x = '\\''; b; \"f64\"", "f64", "b;"),
            ("fn a<'a>(x: &'a str) -> f32 { \"f64\" }", "f64", "-> f32 {"),
            ("var(\"f64\") + b", "f64", "+ b"),
            ("r#type + \"f64\"", "f64", "r#type"),
        ] {
            let code = code_only(text);
            assert!(!code.contains(gone) && code.contains(stays), "{text} became {code}");
            assert_eq!(code.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn white_space_at_the_end_stays_but_not_in_strings() {
        let ends = |text| code_only(text).lines().any(|line| line.ends_with(' '));
        assert!(ends("a \nb") && ends("// a \nb") && ends("/* a \nb */"));
        assert!(!ends("\"a \nb\"") && !ends("r#\"a \nb\"#"));
    }
}
