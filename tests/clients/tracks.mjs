// What every library for JavaScript reports, in its own words.

export const user = process.env.TRACK_USER;

export const order = {
  order_id: `order of ${user}`,
  total: 24.99,
  currency: "EUR",
  products: [{ product_id: "7", sku: "R-60", name: "Rope", price: 19.99, quantity: 1.0 }],
  shipping: 5,
};

// As methods with one object: the libraries for Node take that.
export function report(analytics) {
  const anonymousId = `${user}-before`;
  analytics.page({ anonymousId, name: "Home", properties: { path: "/" } });
  analytics.alias({ previousId: anonymousId, userId: user });
  analytics.identify({
    userId: user,
    traits: { email: `${user}@shop.example.com`, name: "Ada Lindqvist", plan: "gold" },
  });
  analytics.screen({ userId: user, name: "Boots" });
  analytics.group({ userId: user, groupId: `club of ${user}`, traits: { name: `Club of ${user}` } });
  const viewed = { product_id: "7", price: 19.99, currency: "EUR" };
  analytics.track({ userId: user, event: "Product Viewed", properties: viewed });
  analytics.track({ userId: user, event: "Order Completed", properties: order });
}
