//! Every public name of the original's package, by all three of its paths.

use std::any::TypeId;

use mai_organization as root;

macro_rules! same_in_all_paths {
    ($($module:ident: $($name:ident)+;)+) => {
        [$($(
            (
                stringify!($name),
                [
                    TypeId::of::<root::$name>(),
                    TypeId::of::<root::$module::$name>(),
                    TypeId::of::<root::organization_usage::$name>(),
                ],
            ),
        )+)+]
    };
}

#[test]
fn a_name_is_the_same_type_in_all_paths() {
    let names = same_in_all_paths! {
        global_settings: GlobalSettings GlobalSettingsModel GlobalSettingsForm GlobalSettingsTable GlobalSettingsDB;
        client_organization:
            ClientOrganization ClientOrganizationModel ClientOrganizationForm ClientOrganizationTable
            ClientOrganizationDB
            UserClientMapping UserClientMappingModel UserClientMappingForm UserClientMappingTable
            UserClientMappingDB;
        generation_processing:
            ProcessedGeneration ProcessedGenerationCleanupLog ProcessedGenerationTable ProcessedGenerationDB;
        usage_tracking:
            ClientDailyUsage ClientUserDailyUsage ClientModelDailyUsage ClientLiveCounters
            ClientDailyUsageModel ClientUserDailyUsageModel ClientModelDailyUsageModel ClientLiveCountersModel
            ClientUsageStatsResponse ClientBillingResponse
            ClientUsageTable ClientUsageDB;
    };
    for (name, [by_root, by_module, by_old_path]) in names {
        assert_eq!((by_root, by_root), (by_module, by_old_path), "{name}");
    }
    // With `get_db`, which the next test calls, these are the original's 32 names.
    assert_eq!(names.len(), 31);
}

#[test]
fn get_db_is_the_same_function_in_all_paths() {
    use mai_storage::{DbConnection, Error, Storage, testing::TestDb};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let revision = |conn: &mut DbConnection| root::global_settings::bump_revision(conn);
    let run = |storage: &Storage| {
        let fails = |conn: &mut DbConnection| {
            root::global_settings::bump_revision(conn)?;
            Err::<i64, Error>(Error::NotFound)
        };
        assert_eq!(runtime.block_on(root::get_db(storage, revision)).unwrap(), 1);
        assert!(runtime.block_on(root::get_db(storage, fails)).is_err());
        assert_eq!(runtime.block_on(root::database::get_db(storage, revision)).unwrap(), 2);
        assert_eq!(runtime.block_on(root::organization_usage::get_db(storage, revision)).unwrap(), 3);
    };
    TestDb::each(run);
}
