DROP TABLE organization_changes;
DROP TABLE member_changes;
