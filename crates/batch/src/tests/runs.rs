use mai_audit_log::Actor;
use mai_storage::testing::TestDb;
use tokio_util::sync::CancellationToken;

use super::{batch, catch_up, clock, day, do_run, entries, record, settings, used, wait, wanted};
use crate::{
    Batch, Claim, Error, RunStatus, StartedBy, Step, StepStatus,
    runs::{begin_step, steps_of},
};

#[test]
fn due_days_are_caught_up_oldest_first() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        let batch = batch(storage, &clock, "p");
        let first = catch_up(&batch);
        assert_eq!(first.len(), 1, "without earlier runs the last due day is enough");
        assert_eq!((first[0].processing_date, first[0].started_by), (day("2026-07-14"), StartedBy::Schedule));
        assert_eq!(catch_up(&batch), []);
        // Down from the 15th to the 18th at 14:00.
        clock.set("2026-07-18T12:00:00Z".parse().unwrap());
        let caught_up = catch_up(&batch);
        let dates: Vec<_> = caught_up.iter().map(|run| run.processing_date.day_of_month()).collect();
        assert_eq!(dates, [15, 16, 17]);
        assert!(caught_up.iter().all(|run| run.started_by == StartedBy::CatchUp));
        assert!(caught_up.iter().all(|run| run.status == RunStatus::Succeeded), "{caught_up:?}");
        assert_eq!(catch_up(&batch), []);
    });
}

#[test]
fn a_day_is_done_once_unless_forced() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        let batch = batch(storage, &clock, "p");
        let (first, _) = do_run(&batch, "2026-07-14", false);
        assert_eq!(do_run(&batch, "2026-07-14", false).0, first);
        assert_ne!(do_run(&batch, "2026-07-14", true).0.id, first.id);
        let not_over = wait(batch.claim(wanted("2026-07-15", true), &Actor::system()));
        assert!(matches!(not_over, Err(Error::NotOver { last, .. }) if last == day("2026-07-14")));
        let triggers = entries(storage).into_iter().filter(|entry| entry.action == "batch.trigger").count();
        assert_eq!(triggers, 2);
        // An older date that was asked for makes none due again.
        do_run(&batch, "2026-07-01", false);
        assert_eq!(catch_up(&batch), []);
    });
}

#[test]
fn a_second_run_is_refused_while_one_is_going_on() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        let (one, two) = (batch(storage, &clock, "one"), batch(storage, &clock, "two"));
        let Claim::Mine(claimed) = wait(one.claim(wanted("2026-07-14", false), &Actor::system())).unwrap()
        else {
            panic!("it was not done before")
        };
        for other in [&one, &two] {
            let refused = wait(other.claim(wanted("2026-07-14", true), &Actor::system()));
            assert!(matches!(refused, Err(Error::Busy(holder)) if holder == "one"));
        }
        assert_eq!(catch_up(&two), []);
        wait(one.work_off(claimed, &CancellationToken::new())).unwrap();
        assert_eq!(do_run(&two, "2026-07-14", true).0.process, "two");
    });
}

#[test]
fn what_a_dead_process_left_is_taken_up_at_the_first_step_that_is_not_over() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        record(storage, &[used("a", "g1", "2026-07-14", "anna", "openai/o3", 1_000)], clock_now(&clock));
        let (one, two) = (batch(storage, &clock, "one"), batch(storage, &clock, "two"));
        let Claim::Mine(claimed) = wait(one.claim(wanted("2026-07-14", false), &Actor::system())).unwrap()
        else {
            panic!("it was not done before")
        };
        // It dies in the second step.
        let (id, now) = (claimed.run.id.clone(), clock_now(&clock));
        let died = claimed.lease.write(move |conn| {
            begin_step(conn, &id, 0, "one", now)?;
            let end = crate::runs::StepEnd {
                now,
                duration_ms: 1,
                done: 1,
                total: Some(1),
                details: "{}".into(),
                error: None,
            };
            crate::runs::end_step(conn, &id, 0, &end)?;
            begin_step(conn, &id, 1, "one", now)
        });
        wait(died).unwrap();
        clock.advance_millis(59_000);
        assert_eq!(catch_up(&two), [], "it may still be alive");
        clock.advance_millis(1_000);
        let done = catch_up(&two);
        assert_eq!(done.len(), 1);
        assert_eq!((&done[0].id, done[0].status), (&claimed.run.id, RunStatus::Succeeded));
        assert_eq!(done[0].process, "two");
        let steps = storage.read_blocking(|conn| steps_of(conn, &claimed.run.id)).unwrap();
        let attempts: Vec<_> =
            steps.iter().map(|step| (step.attempts, step.process.as_deref().unwrap())).collect();
        assert_eq!(attempts[..3], [(1, "one"), (2, "two"), (1, "two")]);
        assert!(steps.iter().all(|step| step.status == StepStatus::Succeeded), "{steps:?}");
        // The first one was not dead after all: it can do nothing any more.
        let late = wait(one.work_off(claimed, &CancellationToken::new()));
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
    });
}

#[test]
fn processes_that_wake_at_once_do_each_step_once() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        let fleet: Vec<Batch> = ["1", "2", "3", "4"].map(|name| batch(storage, &clock, name)).into();
        for date in 15..18 {
            let done: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> =
                    fleet.iter().map(|batch| scope.spawn(move || catch_up(batch))).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(done.len(), 1, "on the {date}th");
            let steps = storage.read_blocking(|conn| steps_of(conn, &done[0].id)).unwrap();
            assert_eq!(steps.len(), Step::ALL.len());
            for step in steps {
                assert_eq!((step.attempts, step.status), (1, StepStatus::Succeeded), "{step:?}");
                assert_eq!(step.process.as_deref(), Some(done[0].process.as_str()));
            }
            clock.advance_millis(86_400_000);
        }
    });
}

#[test]
fn a_stop_leaves_the_run_for_the_next_start_at_once() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        let one = batch(storage, &clock, "one");
        let stop = CancellationToken::new();
        stop.cancel();
        let Claim::Mine(claimed) = wait(one.claim(wanted("2026-07-14", false), &Actor::system())).unwrap()
        else {
            panic!("it was not done before")
        };
        let stopped = wait(one.work_off(claimed, &stop));
        assert!(matches!(stopped, Err(Error::Stopping) | Ok(_)), "{stopped:?}");
        assert_eq!(one.progress().current(), None);
        let two = batch(storage, &clock, "two");
        catch_up(&two);
        let (runs, lease) = wait(two.latest(5)).unwrap();
        assert_eq!((runs.len(), runs[0].0.status), (1, RunStatus::Succeeded));
        assert_eq!(lease.holder, None);
    });
}

#[test]
fn the_job_does_what_is_due_and_what_is_asked_for() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        let (batch, runner) =
            Batch::new(storage.clone(), std::sync::Arc::new(clock.clone()), settings(), "job");
        wait(async {
            let stop = CancellationToken::new();
            let asking = async {
                loop {
                    let (runs, _) = batch.latest(5).await.unwrap();
                    match runs.as_slice() {
                        [(run, _)] if run.status == RunStatus::Succeeded => {
                            // The job may be about to give the lease back.
                            let asked = batch.trigger(wanted("2026-07-14", true), &Actor::system()).await;
                            assert!(matches!(asked, Ok((_, true)) | Err(Error::Busy(_))));
                        }
                        [_, _] if runs.iter().all(|(run, _)| run.status == RunStatus::Succeeded) => break,
                        _ => {}
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                stop.cancel();
            };
            tokio::join!(runner.run(stop.clone()), asking);
        });
    });
}

#[test]
fn freshness_tells_what_is_wrong() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T11:00:00Z");
        let batch = batch(storage, &clock, "p");
        let trouble = || wait(batch.freshness()).unwrap().trouble();
        assert_eq!(trouble(), None, "nothing is known before the first run");
        catch_up(&batch);
        assert_eq!(trouble(), None);
        clock.set("2026-07-16T12:00:00Z".parse().unwrap());
        assert_eq!(trouble(), None, "an hour is granted");
        clock.set("2026-07-16T12:00:01Z".parse().unwrap());
        assert!(trouble().unwrap().contains("2026-07-15 is overdue"));
        let Claim::Mine(claimed) = wait(batch.claim(wanted("2026-07-15", false), &Actor::system())).unwrap()
        else {
            panic!("it was not done before")
        };
        assert_eq!(trouble(), None);
        clock.advance_millis(3_601_000);
        assert!(trouble().unwrap().contains("has not ended"));
        drop(claimed);
        catch_up(&batch);
        assert_eq!(trouble(), None);
    });
}

fn clock_now(clock: &mai_primitives::ManualClock) -> mai_primitives::UnixTime {
    mai_primitives::Clock::now(clock).into()
}
