//! The names that the root and the old path share.

pub use crate::{
    client_organization::{
        ApiTokenTable, ClientOrganization, ClientOrganizationDB, ClientOrganizationForm,
        ClientOrganizationModel, ClientOrganizationPatch, ClientOrganizationTable, Directory,
        GatewayKeyTable, MasterKey, MemberModel, MemberTable, UserClientMapping, UserClientMappingDB,
        UserClientMappingForm, UserClientMappingModel, UserClientMappingTable,
    },
    database::get_db,
    generation_processing::{
        CleanupStatsResult, NewGeneration, ProcessedGeneration, ProcessedGenerationCleanupLog,
        ProcessedGenerationDB, ProcessedGenerationInfo, ProcessedGenerationModel, ProcessedGenerationTable,
    },
    global_settings::{
        GlobalSettings, GlobalSettingsDB, GlobalSettingsForm, GlobalSettingsModel, GlobalSettingsTable,
    },
    services::OrganizationServices,
    usage_tracking::{
        ClientBillingResponse, ClientDailyUsage, ClientDailyUsageModel, ClientLiveCounters,
        ClientLiveCountersModel, ClientModelDailyUsage, ClientModelDailyUsageModel, ClientUsageDB,
        ClientUsageStatsResponse, ClientUsageTable, ClientUserDailyUsage, ClientUserDailyUsageModel,
        Recorded, UsageRecordDto,
    },
};
