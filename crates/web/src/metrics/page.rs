//! [`Page`]: figures as text, in the format that Prometheus reads.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{Display, Write};

/// What kind of figure a family is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// It only grows, and begins at 0 with the process.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A page under construction. Each family begins once, and its samples follow at once.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    /// The media type of the page.
    pub(super) const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a family. `help` is one line without a backslash.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.name = name;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self
    }

    /// Adds a figure without labels to the family.
    pub(super) fn value(&mut self, value: impl Display) -> &mut Self {
        self.labelled(&[], value)
    }

    /// Adds a figure with labels to the family.
    pub(super) fn labelled(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.text.push_str(self.name);
        for (place, (name, text)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            self.write(format_args!("{before}{name}=\"{}\"", escaped(text)));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{after} {value}\n"));
        self
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn write(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        self.text.write_fmt(piece).ok();
    }
}

/// The text of a label as it stands between quotation marks.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_as_prometheus_reads_it() {
        let mut page = Page::default();
        page.family(Kind::Gauge, "open", "Open calls.").value(3);
        page.family(Kind::Counter, "calls_total", "Calls.")
            .labelled(&[("route", "chat/completions"), ("status", "2xx")], 7)
            .labelled(&[("route", "\\ \" \n")], 8);
        let expected = "# HELP open Open calls.\n# TYPE open gauge\nopen 3\n\
                        # HELP calls_total Calls.\n# TYPE calls_total counter\n\
                        calls_total{route=\"chat/completions\",status=\"2xx\"} 7\n\
                        calls_total{route=\"\\\\ \\\" \\n\"} 8\n";
        assert_eq!(page.finish(), expected);
    }
}
