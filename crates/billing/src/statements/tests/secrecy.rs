//! What the organization's copy must not tell.

use super::{Statement, each, read};
use crate::statements::pdf::pdf;

#[test]
fn the_organizations_copy_has_no_raw_figure() {
    each(|world| {
        let a = world.warsaw("a");
        world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "7.1234567");
        world.at("2026-11-02T09:00:00Z");
        world.issue(&a, "2026-10");
        world.use_model(&a, "late-1", "2026-10-06", "openai/o3", "3.7654321");
        world.use_model(&a, "gen-2", "2026-11-06", "openai/o3", "2.2222221");
        world.at("2026-12-02T09:00:00Z");
        let full = read(&world.issue(&a, "2026-11"));
        let json = full.client_copy().to_json().unwrap();
        let own = full.to_json().unwrap();
        for figure in ["3.7654321", "2.2222221", "5.9876542", "reseller", "raw_cost", "markup"] {
            assert!(own.contains(figure), "{figure}");
            assert!(!json.contains(figure), "{figure}");
        }
        // Half of the raw cost is the markup of 1.5; no share, rate or profit either.
        for figure in ["1.88271605", "1.11111105", "1.5,", "profit"] {
            assert!(!json.contains(figure), "{figure}");
        }
        let copy = Statement::from_json(&json).unwrap();
        assert_eq!(copy, full.client_copy());
        // The PDF is made of the copy.
        assert_eq!(pdf(&full).unwrap(), pdf(&copy).unwrap());
    });
}
