"""`inferd.v1.AdminService`: what guards calls, shown and driven, and broken on purpose."""
