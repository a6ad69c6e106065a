"""The URLs of the API, version 1."""

from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework import routers
from rest_framework_simplejwt import views as tokens

from lab.rest_apis import views
from lab.rest_apis.throttling import SIGN_IN

app_name = "v1"

# --8<-- [start:routers]
router = routers.SimpleRouter()
router.register("courses", views.CourseViewSet, basename="course")
router.register("enrollments", views.EnrollmentViewSet, basename="enrollment")

lessons = routers.SimpleRouter()
lessons.register("lessons", views.LessonViewSet, basename="lesson")
# --8<-- [end:routers]

urlpatterns = [
    # --8<-- [start:resources]
    path("", include(router.urls)),
    path("courses/<slug:course_slug>/", include(lessons.urls)),
    # --8<-- [end:resources]
    # --8<-- [start:tokens]
    path(
        "token/",
        tokens.TokenObtainPairView.as_view(throttle_classes=SIGN_IN),
        name="token",
    ),
    path("token/refresh/", tokens.TokenRefreshView.as_view(), name="token_refresh"),
    path("token/revoke/", tokens.TokenBlacklistView.as_view(), name="token_revoke"),
    # --8<-- [end:tokens]
    # --8<-- [start:schema]
    path("schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    # --8<-- [end:schema]
]
