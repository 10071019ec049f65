//! Any order of what may happen to calls, beside a plain list of them.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// What may happen to calls, in any order.
#[derive(Debug, Clone)]
enum Event {
    Send(u8, u8, i64),
    Settle(usize, u8, i64),
    Fail(usize),
    Lose(usize),
    Book,
    Read,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..3_u8, 0..3_u8, 0..100_i64).prop_map(|(user, model, nanos)| Event::Send(user, model, nanos)),
        3 => (any::<usize>(), 0..3_u8, 0..100_i64).prop_map(|(which, model, cost)| Event::Settle(which, model, cost)),
        1 => any::<usize>().prop_map(Event::Fail),
        1 => any::<usize>().prop_map(Event::Lose),
        2 => Just(Event::Book),
        2 => Just(Event::Read),
    ];
    prop::collection::vec(event, 1..120)
}

proptest! {
    /// Against a plain list of calls: after any events each sum is that of the reservations of open calls and of what
    /// the others have cost.
    #[test]
    fn sums_are_those_of_a_list_of_calls(events in events()) {
        let guard = LimitGuard::default();
        let limits = Limits::new(
            Some(usd(400)),
            [(subject_member("user-0"), usd(150)), (subject_model("a/0"), usd(120))],
        );
        let subjects = [LimitSubject::Organization, subject_member("user-0"), subject_model("a/0")];
        let counts = |held: &Held, subject: &LimitSubject| match subject {
            LimitSubject::Organization => true,
            LimitSubject::Member(user) => held.user == *user,
            LimitSubject::Model(model) => held.model.as_ref() == Some(model),
        };
        let sum = |calls: &[Call], subject: &LimitSubject| -> i64 {
            calls.iter().filter_map(|call| call.held.as_ref()).filter(|held| counts(held, subject)).map(|held| held.nanos).sum()
        };
        let (mut open, mut unbooked, mut booked): (Vec<Call>, Vec<Call>, Vec<Call>) = Default::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for event in events {
            let take = |open: &mut Vec<Call>, which: usize| (!open.is_empty()).then(|| open.swap_remove(which % open.len()));
            match event {
                Event::Send(user, model, nanos) => {
                    let wish = call(&format!("user-{user}"), &format!("a/{model}:free"));
                    let concerned = Held {
                        nanos,
                        user: wish.user.clone(),
                        model: ModelName::new(format!("a/{model}")).ok(),
                    };
                    let has_room = subjects.iter().zip([400, 150, 120]).all(|(subject, limit)| {
                        let used = sum(&open, subject) + sum(&unbooked, subject) + sum(&booked, subject);
                        !counts(&concerned, subject) || (used < limit && used + nanos <= limit)
                    });
                    let passed = sent(&guard, &limits, wish, nanos);
                    prop_assert_eq!(passed.is_ok(), has_room);
                    open.extend(passed);
                }
                Event::Settle(which, model, cost) => if let Some(call) = take(&mut open, which) {
                    unbooked.push(settled(&guard, call, exact(&format!("a/{model}"), cost)).call);
                },
                Event::Fail(which) => if let Some(call) = take(&mut open, which) {
                    unbooked.push(settled(&guard, call, failed()).call);
                },
                Event::Lose(which) => if let Some(call) = take(&mut open, which) {
                    unbooked.push(settled(&guard, call, UNKNOWN).call);
                },
                Event::Book => {
                    guard.booked(&unbooked);
                    booked.append(&mut unbooked);
                }
                Event::Read => {
                    let used: HashMap<_, _> = subjects.iter().map(|one| (one.clone(), sum(&booked, one))).collect();
                    runtime.block_on(read(&guard, &used.into_iter().collect::<Vec<_>>()));
                }
            }
            for subject in &subjects {
                prop_assert_eq!(in_flight(&guard, subject), sum(&open, subject) + sum(&unbooked, subject));
            }
        }
    }
}
