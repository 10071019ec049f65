DROP TABLE member_changes;
