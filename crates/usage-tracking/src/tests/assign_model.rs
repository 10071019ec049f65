//! Bookings and assignments in random order against the simplest possible model, and both at once.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use mai_generation_processing::{
    NewGeneration, NewPendingGeneration, PendingReason,
    pending::{claim_due, insert_pending, rest},
};
use mai_primitives::{GenerationId, UsageDate, UserId};
use mai_storage::testing::TestDb;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    NOON,
    assign::{add_member, user},
    books_of, clock, create_organization, day, give_rate, id, mismatches, on, org, used,
};
use crate::{Assignment, Totals, assign::assign, rebuild::compare_day, record_generations, verify::Days};

const DATES: [&str; 3] = ["2026-06-30", "2026-07-01", "2026-07-02"];
const MEMBERS: [&str; 3] = ["m0", "m1", "m2"];
const USERS: [&str; 6] = [UserId::UNATTRIBUTED, "m0", "m1", "m2", "x0", "x1"];

#[derive(Debug, Clone)]
enum Step {
    /// Id, day, user, tokens, cost of each.
    Book(Vec<(u8, u8, u8, u8, u8)>),
    Assign {
        from: u8,
        to: u8,
        merge: bool,
        days: Option<(u8, u8)>,
    },
    /// A day gets its rate, if it has usage.
    Rate(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let draft = (0..40_u8, 0..3_u8, 0..6_u8, 0..4_u8, 0..4_u8);
    let book = prop::collection::vec(draft, 1..10).prop_map(Step::Book);
    let assign = (0..6_u8, 0..6_u8, any::<bool>(), prop::option::weighted(0.3, (0..3_u8, 0..3_u8)))
        .prop_map(|(from, to, merge, days)| Step::Assign { from, to, merge, days });
    prop::collection::vec(prop_oneof![3 => book, 3 => assign, 1 => (0..3_u8).prop_map(Step::Rate)], 1..12)
}

fn at<T: Copy>(all: &[T], index: u8) -> T {
    all[usize::from(index)]
}

#[derive(Default)]
struct Model {
    booked: HashMap<GenerationId, NewGeneration>,
    called: HashMap<String, String>,
    inactive: Vec<String>,
}

impl Model {
    fn book(&mut self, new: &NewGeneration) {
        let mut new = new.clone();
        if let Some(member) = self.called.get(new.user_id.as_str()) {
            new.user_id = user(member);
        }
        self.booked.entry(new.id.clone()).or_insert(new);
    }

    /// Whether it was done.
    fn assign(&mut self, from: &str, to: &str, merge: bool, days: Option<(UsageDate, UsageDate)>) -> bool {
        let is_nobody = from == UserId::UNATTRIBUTED;
        let is_member = |name: &str| MEMBERS.contains(&name);
        let is_active = is_member(from) && !self.inactive.iter().any(|name| name == from);
        let refused = from == to
            || (days.is_some() && !is_nobody)
            || days.is_some_and(|(first, last)| first > last)
            || !is_member(to)
            || (is_active && !merge)
            || (!is_nobody && self.called.contains_key(to))
            || self.called.get(from).is_some_and(|member| member != to);
        if refused {
            return false;
        }
        for one in self.booked.values_mut() {
            let within =
                days.is_none_or(|(first, last)| first <= one.generation_date && one.generation_date <= last);
            if one.user_id.as_str() == from && within {
                one.user_id = user(to);
            }
        }
        if !is_nobody {
            for member in self.called.values_mut().filter(|member| *member == from) {
                to.clone_into(member);
            }
            self.called.insert(from.to_owned(), to.to_owned());
            if is_active {
                self.inactive.push(from.to_owned());
            }
        }
        true
    }

    fn usage(&self) -> BTreeMap<(UsageDate, UserId), Totals> {
        let mut usage: BTreeMap<(UsageDate, UserId), Totals> = BTreeMap::new();
        for one in self.booked.values() {
            let part = Totals {
                tokens: one.input_tokens + one.output_tokens,
                requests: 1,
                raw_cost: one.total_cost,
                markup_cost: one.markup_rate.apply(one.total_cost).unwrap(),
            };
            let totals = usage.entry((one.generation_date, one.user_id.clone())).or_default();
            *totals = totals.checked_add(part).unwrap();
        }
        usage
    }
}

#[test]
fn bookings_and_assignments_in_any_order_agree_with_a_model() {
    TestDb::each(|storage| {
        let case = Cell::new(0);
        let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
        let check = |steps: Vec<Step>| {
            case.set(case.get() + 1);
            let name = format!("org-{}", case.get());
            let (organization, clock) = (org(&name), clock("2026-07-15T12:00:00Z"));
            create_organization(storage, &name, &clock);
            for member in MEMBERS {
                add_member(storage, &clock, &name, member);
            }
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Book(drafts) => {
                        let batch = drafts.into_iter().map(|(name, date, who, tokens, cost)| {
                            let name = format!("gen-{name}");
                            let new = used(&name, at(&USERS, who), "x/a", tokens.into(), cost.into());
                            NewGeneration { client_org_id: organization.clone(), ..on(at(&DATES, date), new) }
                        });
                        let batch: Vec<_> = batch.collect();
                        for new in &batch {
                            model.book(new);
                        }
                        storage
                            .write_blocking(|conn| record_generations(conn, &organization, &batch, NOON))
                            .unwrap();
                    }
                    Step::Rate(date) => give_rate(storage, &organization, at(&DATES, date), 40_000),
                    Step::Assign { from, to, merge, days } => {
                        let (from, to) = (at(&USERS, from), at(&USERS, to));
                        let days = days.map(|(first, last)| (day(at(&DATES, first)), day(at(&DATES, last))));
                        let range =
                            Days { from: days.map(|(first, _)| first), to: days.map(|(_, last)| last) };
                        let assignment = Assignment { from: user(from), to: user(to), days: range, merge };
                        let done =
                            storage.write_blocking(|conn| assign(conn, &organization, &assignment, NOON));
                        let expected = model.assign(from, to, merge, days);
                        prop_assert_eq!(done.is_ok(), expected, "{:?} {:?}", assignment, done);
                    }
                }
                let books = books_of(storage, &organization);
                let usage: BTreeMap<_, _> = books
                    .users
                    .iter()
                    .map(|row| ((row.usage_date, row.user_id.clone()), Totals::from(row)))
                    .collect();
                prop_assert_eq!(usage, model.usage());
                prop_assert_eq!(mismatches(storage, &organization), []);
                for row in books.days {
                    let found =
                        storage.read_blocking(|conn| compare_day(conn, &organization, row.usage_date));
                    prop_assert_eq!(found.unwrap(), []);
                }
            }
            Ok(())
        };
        TestRunner::new(config).run(&steps(), check).unwrap();
    });
}

const BOOKERS: usize = 4;
const ROUNDS: usize = 60;

/// Four threads book for three users and claim what waits, while others are made one and back, so to
/// say: whoever is `x` at the moment is given to anna, and nobody's usage to ben.
#[test]
fn bookings_and_assignments_at_once_lose_nothing_and_never_collide() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        for name in ["anna", "ben"] {
            add_member(storage, &clock, "a", name);
        }
        let (calls, attempts) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let write = |work: &dyn Fn(&mut mai_storage::DbConnection) -> crate::Result<()>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let done = storage.write_blocking(|conn| {
                attempts.fetch_add(1, Ordering::SeqCst);
                work(conn)
            });
            done.unwrap();
        };
        let (start, busy) = (Barrier::new(BOOKERS + 1), AtomicUsize::new(BOOKERS));
        let is_first = AtomicBool::new(true);
        // One of the days has its rate, so that the sums of its month are computed all the time.
        let first: Vec<_> =
            DATES.map(|date| on(date, used(&format!("gen-{date}"), "anna", "x/a", 3, 100))).into();
        write(&|conn| record_generations(conn, &org("a"), &first, NOON).map(drop));
        give_rate(storage, &org("a"), DATES[1], 40_000);
        std::thread::scope(|scope| {
            for booker in 0..BOOKERS {
                let (start, busy, write) = (&start, &busy, &write);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..ROUNDS {
                        // A repetition of what another one has booked is among them, in another order.
                        let batch: Vec<_> = [(booker, round), (booker + 1, round / 2)]
                            .into_iter()
                            .flat_map(|(who, round)| {
                                ["x", "anna", UserId::UNATTRIBUTED].into_iter().enumerate().map(
                                    move |(which, name)| {
                                        let id = format!("gen-{}-{round}-{which}", who % BOOKERS);
                                        on(DATES[(round + which) % 3], used(&id, name, "x/a", 3, 100))
                                    },
                                )
                            })
                            .collect();
                        let waiting = waiting(&format!("p-{booker}-{round}"));
                        write(&|conn| {
                            record_generations(conn, &org("a"), &batch, NOON)?;
                            insert_pending(conn, std::slice::from_ref(&waiting), NOON)?;
                            Ok(())
                        });
                        write(&|conn| {
                            claim_due(conn, NOON.plus_seconds(1_000), 0, 50)?;
                            rest(conn, &org("a"), NOON.plus_seconds(1), NOON)?;
                            Ok(())
                        });
                    }
                    busy.fetch_sub(1, Ordering::SeqCst);
                });
            }
            scope.spawn(|| {
                start.wait();
                // Once more when everybody is done, for what nobody has used.
                while busy.load(Ordering::SeqCst) > 0 || is_first.swap(false, Ordering::SeqCst) {
                    for (from, to) in [("x", "anna"), (UserId::UNATTRIBUTED, "ben")] {
                        let assignment = Assignment {
                            from: user(from),
                            to: user(to),
                            days: Days::default(),
                            merge: false,
                        };
                        write(&|conn| assign(conn, &org("a"), &assignment, NOON).map(drop));
                        assert_eq!(mismatches(storage, &org("a")), []);
                    }
                }
            });
        });
        assert_eq!(attempts.into_inner(), calls.into_inner(), "a transaction collided with another");
        assert_eq!(mismatches(storage, &org("a")), []);
        let books = books_of(storage, &org("a"));
        let requests: i64 = books.days.iter().map(|row| row.total_requests).sum();
        assert_eq!(requests, i64::try_from(BOOKERS * ROUNDS * 3 + DATES.len()).unwrap());
        assert!(
            books.users.iter().all(|row| row.user_id.as_str() != "x"),
            "whoever books late books for anna"
        );
        for row in books.days {
            let found = storage.read_blocking(|conn| compare_day(conn, &org("a"), row.usage_date)).unwrap();
            assert_eq!(found, []);
        }
    });
}

fn waiting(name: &str) -> NewPendingGeneration {
    let like = used(name, "x", "x/a", 1, 1);
    NewPendingGeneration {
        client_org_id: org("a"),
        id: id(name),
        generation_date: like.generation_date,
        user_id: like.user_id,
        openrouter_user_id: like.openrouter_user_id,
        requested_model: None,
        markup_rate: like.markup_rate,
        streamed: false,
        gateway_key_id: None,
        task: None,
        started_at: NOON,
        reason: PendingReason::ClientGone,
        reservation: None,
    }
}
