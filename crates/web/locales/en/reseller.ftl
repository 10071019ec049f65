# The reseller's pages.
