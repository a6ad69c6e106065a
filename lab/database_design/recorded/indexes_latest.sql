CREATE INDEX "latest" ON "academy_enrollment" ("enrolled_on", "id")
