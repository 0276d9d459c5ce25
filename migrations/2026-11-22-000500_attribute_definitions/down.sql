drop table external_ids, unique_attributes, attribute_definitions;
