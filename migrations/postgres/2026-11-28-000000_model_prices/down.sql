DROP TABLE model_prices;
DROP TABLE model_price_list;
