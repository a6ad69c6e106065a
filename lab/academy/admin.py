"""The academy in Django's admin, for its staff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin

from lab.academy import models

if TYPE_CHECKING:
    from django.http import HttpRequest


@admin.register(models.User)
class UserAdmin(DjangoUserAdmin):
    """Django's own user pages, without the user name that this model does not have."""

    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_staff")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Name", {"fields": ("first_name", "last_name")}),
        (
            "May",
            {
                "fields": (
                    "is_active",
                    "is_staff",
                    "is_superuser",
                    "groups",
                    "user_permissions",
                )
            },
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "usable_password", "password1", "password2")}),
    )


# --8<-- [start:course]
class LessonInline(admin.TabularInline):
    """The lessons of a course, on the page of the course."""

    model = models.Lesson
    extra = 0


@admin.register(models.Course)
class CourseAdmin(admin.ModelAdmin):
    """Courses with their lessons and tags."""

    inlines = (LessonInline,)
    list_display = ("title", "level", "seats", "published", "starts_on")
    list_filter = ("published", "level")
    search_fields = ("title",)
    prepopulated_fields = {"slug": ("title",)}
    filter_horizontal = ("tags",)


# --8<-- [end:course]


@admin.register(models.Learner)
class LearnerAdmin(admin.ModelAdmin):
    """Learners, found by name or address."""

    list_display = ("name", "email", "joined_on")
    search_fields = ("name", "email")
    raw_id_fields = ("user",)


# --8<-- [start:enrollment]
@admin.register(models.Enrollment)
class EnrollmentAdmin(admin.ModelAdmin):
    """Enrollments to look at and to grade; enroll() gives the seats."""

    list_display = ("learner", "course", "enrolled_on", "grade")
    list_select_related = ("learner", "course")  # one query for the list, not one a row
    readonly_fields = ("learner", "course")  # another course is another seat

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody gets a seat here."""
        return False


# --8<-- [end:enrollment]


admin.site.register(models.Tag)
admin.site.register(models.Certificate)
