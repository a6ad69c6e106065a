"""The URLs of the academy's pages."""

from django.urls import path

from lab.django_app import authentication, authorization, deployment, testing, views

urlpatterns = [
    # --8<-- [start:courses]
    path("", views.course_list, name="course_list"),
    path("courses/<slug:slug>/", views.course_detail, name="course_detail"),
    # --8<-- [end:courses]
    # --8<-- [start:views]
    path("catalog/", views.Catalog.as_view(), name="catalog"),
    path("courses/<slug:slug>/leave/", views.leave_course, name="leave_course"),
    path("propose/", views.propose_course, name="propose_course"),
    path("enroll/", views.enroll_me, name="enroll_me"),
    # --8<-- [end:views]
    path("timetable/", testing.timetable, name="timetable"),
    # --8<-- [start:health]
    path("health/", deployment.readiness, name="readiness"),
    path("health/alive/", deployment.liveness, name="liveness"),
    # --8<-- [end:health]
    # --8<-- [start:accounts]
    path("login/", authentication.Login.as_view(), name="login"),
    path("logout/", authentication.Logout.as_view(), name="logout"),
    path("my-courses/", authentication.my_courses, name="my_courses"),
    # --8<-- [end:accounts]
    path(
        "password-reset/",
        authentication.PasswordReset.as_view(),
        name="password_reset",
    ),
    path(
        "password-reset/sent/",
        authentication.PasswordResetDone.as_view(),
        name="password_reset_done",
    ),
    path(
        "password-reset/<uidb64>/<token>/",
        authentication.PasswordResetConfirm.as_view(),
        name="password_reset_confirm",
    ),
    path(
        "password-reset/done/",
        authentication.PasswordResetComplete.as_view(),
        name="password_reset_complete",
    ),
    # --8<-- [start:grades]
    path(
        "enrollments/<int:pk>/",
        authorization.enrollment_detail,
        name="enrollment_detail",
    ),
    path(
        "courses/<slug:slug>/grades/",
        authorization.CourseGrades.as_view(),
        name="course_grades",
    ),
    path("grades/", authorization.gradebook, name="gradebook"),
    # --8<-- [end:grades]
]
