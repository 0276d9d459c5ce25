"""What Segment's and RudderStack's libraries for Python report."""

import os
import sys

USER = os.environ["TRACK_USER"]
failures = []

if sys.argv[1] == "segment":
    import segment.analytics as analytics

    analytics.host = os.environ["TRACK_URL"]
else:
    import rudderstack.analytics as analytics

    analytics.dataPlaneUrl = os.environ["TRACK_URL"]
analytics.write_key = os.environ["TRACK_KEY"]
analytics.gzip = True
analytics.max_retries = 1
analytics.on_error = lambda error, items: failures.append(error)

before = f"{USER}-before"
traits = {"email": f"{USER}@shop.example.com", "name": "Ada Lindqvist", "plan": "gold"}
products = [{"product_id": "7", "sku": "R-60", "name": "Rope", "price": 19.99, "quantity": 1}]
order = {"order_id": f"order of {USER}", "total": 24.99, "currency": "EUR", "products": products, "shipping": 5}
analytics.page(anonymous_id=before, name="Home", properties={"path": "/"})
analytics.alias(before, USER)
analytics.identify(USER, traits)
analytics.screen(USER, name="Boots")
analytics.group(USER, f"club of {USER}", {"name": f"Club of {USER}"})
analytics.track(USER, "Product Viewed", {"product_id": "7", "price": 19.99, "currency": "EUR"})
analytics.track(USER, "Order Completed", order)
analytics.shutdown()
assert not failures, failures
print("done")
