# Teksty panelu. Klucze i wartości są takie same w każdym języku; zob. `dashboard/language.rs`.

skip = Przejdź do treści
nav-main = Główna nawigacja
nav-organization = Strony organizacji
nav-reseller = Strony sprzedawcy
language = Język
language-pl = Polski
language-en = Angielski
theme = Kolory
theme-system = Systemowe
theme-light = Jasne
theme-dark = Ciemne
role-reseller = Sprzedawca
role-admin = Administrator
role-member = Użytkownik

sign-in = Zaloguj się
sign-in-title = Logowanie
sign-in-help = Nie masz jeszcze hasła lub nie pamiętasz go? Poproś administratora o jednorazowy link.
sign-in-wrong = Adres i hasło nie pasują do siebie lub konto jest na pewien czas zablokowane po kilku próbach.
sign-in-too-many = Zbyt wiele nieudanych prób. Odczekaj minutę i spróbuj ponownie.
sign-in-busy = W tej chwili loguje się wiele osób. Spróbuj ponownie za kilka sekund.
sign-out = Wyloguj się
sign-out-everywhere = Wyloguj się wszędzie
email = E-mail
name = Imię i nazwisko
password = Hasło
link-title = Logowanie linkiem
link-text = Ten link loguje jeden raz.
link-paste = Wklej tutaj cały link
link-used = Link jest już zużyty lub zbyt stary. Poproś o nowy osobę, która go przekazała.
password-title = Zmień hasło
password-set-title = Ustaw hasło
password-current = Obecne hasło
password-current-wrong = Obecne hasło jest nieprawidłowe.
password-new = Nowe hasło, co najmniej 12 znaków
password-save = Zapisz hasło
password-later = Nie teraz
password-help = Po zapisaniu inne sesje tego konta zostaną zakończone.
password-unfit = Hasło musi mieć od 12 do 256 znaków i nie może być łatwe do odgadnięcia.
account-title = Utwórz konto
account-text = Zalogowano jako sprzedawca. Utwórz konto do następnych logowań.
account-create = Utwórz konto
account-taken = Konto o tym adresie już istnieje.
account-email-unfit = To nie jest adres e-mail.
account-name-unfit = Nazwa musi mieć od 1 do 200 znaków.

tab-overview = Przegląd
tab-own = Moje zużycie
tab-users = Według użytkownika
tab-models = Według modelu
tab-providers = Według dostawcy
tab-subscription = Subskrypcja
tab-pricing = Cennik modeli
tab-exports = Eksport
tab-limits = Limity i klucze
tab-members = Użytkownicy
tab-statements = Rozliczenia
tab-alerts = Powiadomienia
tab-audit = Dziennik
tab-settings = Ustawienia
tab-generations = Otwarte generacje
tab-runs = Przebiegi dzienne
tab-health = Stan systemu
tab-access = Dostęp

range = Zakres dni
range-this-month = Ten miesiąc
range-last-month = Zeszły miesiąc
range-7d = 7 dni
range-30d = 30 dni
range-90d = 90 dni
range-12m = 12 miesięcy
range-from = Od
range-to = Do
range-apply = Pokaż

tokens = Tokeny
requests = Żądania
cost = Koszt
rate = Kurs
date = Data
month = Miesiąc
user = Użytkownik
model = Model
provider = Dostawca
organization = Organizacja
organizations = Organizacje
organizations-search = Nazwa
organizations-count = { $n ->
    [one] { $shown } organizacja
    [few] { $shown } organizacje
   *[other] { $shown } organizacji
}
raw-cost = Koszt zakupu
client-price = Cena klienta
profit = Zysk
total = Razem
share = Udział
change = Zmiana
all = Całe zużycie
other = Pozostałe
unknown = Nieznany
no-data = Brak danych
active-users = Aktywni użytkownicy
days-active = Dni aktywności
days-used = Dni użycia
last-activity = Ostatnia aktywność
models-used = Modele
so-far = dotychczas
estimated = Przeliczono po ostatnim kursie, ponieważ nie każdy dzień ma już własny
about = około
rate-fallback = kurs z konfiguracji
metric = Wielkość
group-by = Podział
group-model = Model
group-provider = Dostawca
group-user = Użytkownik
group-none = Bez podziału
forecast = Prognoza

users-count = { $n ->
    [one] { $shown } użytkownik
   *[other] { $shown } użytkowników
}
requests-count = { $n ->
    [one] { $shown } żądanie
    [few] { $shown } żądania
   *[other] { $shown } żądań
}
models-count = { $n ->
    [one] { $shown } model
    [few] { $shown } modele
   *[other] { $shown } modeli
}
providers-count = { $n ->
    [one] { $shown } dostawca
   *[other] { $shown } dostawców
}

ago-now = przed chwilą
ago-minutes = { $n ->
    [one] { $shown } minutę temu
    [few] { $shown } minuty temu
   *[other] { $shown } minut temu
}
ago-hours = { $n ->
    [one] { $shown } godzinę temu
    [few] { $shown } godziny temu
   *[other] { $shown } godzin temu
}
ago-days = { $n ->
    [one] { $shown } dzień temu
   *[other] { $shown } dni temu
}
ago-months = { $n ->
    [one] { $shown } miesiąc temu
    [few] { $shown } miesiące temu
   *[other] { $shown } miesięcy temu
}
ago-years = { $n ->
    [one] { $shown } rok temu
    [few] { $shown } lata temu
   *[other] { $shown } lat temu
}

tile-cost-month = Koszt w tym miesiącu
tile-cost = Koszt
tile-estimated = około { $value }
tile-no-pln = Kwota w PLN po publikacji kursu
tile-per-day = { $value } dziennie
tile-of-members = { $n ->
    [one] z { $shown } użytkownika
   *[other] z { $shown } użytkowników
}
tile-of-days = { $n ->
    [one] z { $shown } dnia
   *[other] z { $shown } dni
}
tile-limit = Wykorzystany limit miesiąca
tile-limit-of = z { $value }
tile-no-limit = Bez limitu
tile-no-limit-note = Zużycie nie jest ograniczone
tile-forecast = Prognoza na koniec miesiąca
tile-forecast-range = od { $low } do { $high }
tile-no-forecast = Wymaga zużycia w ostatnich czterech tygodniach
change-title = względem poprzedniego okresu tej samej długości

chart-cost = Koszt w czasie
chart-tokens = Tokeny w czasie
chart-requests = Żądania w czasie
chart-own-cost = Mój koszt w czasie
chart-own-tokens = Moje tokeny w czasie
chart-own-requests = Moje żądania w czasie
chart-description = Słupki skumulowane, { $value }. Tabela poniżej zawiera te same liczby.
chart-expected = prognoza { $value }
chart-so-far = { $value } dotychczas
chart-today = { $value } dotychczas, prognoza reszty dnia { $expected }
chart-table = { $value }, liczby w tabeli
chart-data = Pokaż liczby w tabeli

top-model = Główny model
top-models = 3 najczęściej używane modele
top-models-note = Według liczby tokenów, z udziałem w sumie
monthly-summary = Podsumowanie
summary-active-users = Aktywni użytkownicy
summary-new-users = Nowi użytkownicy
summary-idle-members = Użytkownicy bez zużycia
summary-days = Dni ze zużyciem
summary-days-of = { $active } z { $all }
summary-cost-per-day = Średnio dziennie
summary-cost-per-user = Średnio na aktywnego użytkownika
summary-busiest = Dzień z największą liczbą tokenów
summary-dearest = Dzień o najwyższym koszcie
summary-change = Zmiana kosztu wobec poprzedniego okresu
daily-breakdown = Zestawienie dzienne
months-title = Porównanie miesięcy
activity-title = Aktywność
activity-description = { $n ->
    [one] Żądania w kolejnych dniach ostatniego półrocza, { $shown } dzień ze zużyciem.
   *[other] Żądania w kolejnych dniach ostatniego półrocza, { $shown } dni ze zużyciem.
}
activity-week = Tydzień od
activity-less = Mniej
activity-more = Więcej

users-which = Którzy użytkownicy
users-all = Wszyscy
users-active = Ze zużyciem
users-idle = Bez zużycia
users-search = Nazwisko, e-mail lub id
models-search = Model
providers-search = Dostawca
search = Szukaj
search-clear = Wyczyść
badge-inactive = nieaktywny
badge-inactive-organization = nieaktywna
badge-unregistered = spoza rejestru
ranking-models = Koszt według modelu
ranking-providers = Koszt według dostawcy
pager = { $from }–{ $to } z { $total }
pages = Strony tabeli
page-previous = Poprzednia
page-next = Następna

seats-users = Liczba użytkowników
seats-tier = Bieżący próg
seats-tier-note = za użytkownika miesięcznie
seats-tier-range = { $value } użytkowników
seats-tiers = Progi cenowe
seats-current = bieżący
seats-total = Suma miesięczna
seats-total-note = proporcjonalnie do liczby dni
seats-details = Rozliczenie według użytkownika
seats-added = Data dodania
seats-days = Dni rozliczane
seats-days-of = { $charged } z { $all }
seats-cost = Koszt miesięczny
seats-frozen = Ten miesiąc jest zamknięty. Kwoty ustalono { $value } i już się nie zmienią.
seats-running = Ten miesiąc trwa. Kwoty zależą od bieżącej listy użytkowników.
seats-open = Ten miesiąc się skończył i zostanie zamknięty przy następnym dziennym przetwarzaniu.
seats-how = Zasady rozliczenia
seats-rule-1 = Każdy aktywny użytkownik zajmuje jedno miejsce.
seats-rule-2 = Liczba użytkowników wyznacza próg, a wszyscy płacą cenę tego progu.
seats-rule-3 = Użytkownik dodany w trakcie miesiąca płaci za dni od tego dnia włącznie.
seats-rule-4 = Kwoty są w PLN i nie obejmują kosztu zużycia.

pricing-list = Modele
pricing-catalogue = Oferowane
pricing-all = Wszystkie modele
pricing-count = { $n ->
    [one] { $shown } dostępny model
    [few] { $shown } dostępne modele
   *[other] { $shown } dostępnych modeli
}
pricing-note = Ceny w USD za milion tokenów, według stawek organizacji.
pricing-updated = Odczytano z OpenRouter { $at } ({ $ago }).
pricing-variable = zmienna
pricing-built-in = Cennika OpenRouter nie udało się jeszcze odczytać. To ceny wbudowane, mogą być nieaktualne.
pricing-old = Cennika OpenRouter nie udało się odczytać od ponad doby. To ostatnie znane ceny.
price-input = Wejście
price-output = Wyjście
context = Kontekst
category = Kategoria
category-all = Wszystkie
category-all-budget = Budżetowe
category-all-standard = Standardowe
category-all-fast = Szybkie
category-all-premium = Premium
category-all-reasoning = Z rozumowaniem
category-budget = Budżetowy
category-standard = Standardowy
category-fast = Szybki
category-premium = Premium
category-reasoning = Z rozumowaniem

exports-text = Liczby z wybranych dni w plikach, z dokładnością do nanodolara.
export-table = Tabela
export-files = Pliki
export-daily = Dni
export-daily-note = Wiersz na każdy dzień ze zużyciem
export-by-user = Użytkownicy
export-by-user-note = Wiersz na każdego użytkownika, także bez zużycia
export-by-model = Modele
export-by-model-note = Wiersz na każdy model
export-by-user-daily = Użytkownicy według dni
export-by-user-daily-note = Wiersz na każdego użytkownika i dzień
export-by-model-daily = Modele według dni
export-by-model-daily-note = Wiersz na każdy model i dzień
export-generations = Generacje
export-generations-note = Wiersz na każdą generację przechowywaną w rejestrze

notice-no-rate = Kurs NBP nie jest jeszcze znany. Kwoty są w USD, a PLN pojawi się samo.
notice-fallback-rate = Kurs NBP nie jest jeszcze znany. PLN to szacunek po kursie z konfiguracji; nie służy do rozliczeń.
foot-recorded = Zapisano do { $at } ({ $ago })
foot-rate = Kurs { $rate }, tabela { $table } z { $day }
foot-rate-fallback = Kurs z konfiguracji { $value }
foot-zone = Dni według strefy { $value }

empty-range = Brak zużycia w tych dniach. Wybierz powyżej inne dni.
empty-own = W tych dniach nie było Twojego zużycia.
empty-users = Żaden użytkownik nie pasuje. Wyczyść wyszukiwanie lub wybierz inne dni.
empty-models = Żaden model nie pasuje. Wyczyść wyszukiwanie lub wybierz inne dni.
empty-providers = W tych dniach nie używano żadnego dostawcy.
empty-seats = W tym miesiącu nikt nie zajmuje miejsca.
empty-pricing = Żaden model nie pasuje. Wyczyść wyszukiwanie lub wybierz inną kategorię.
empty-organizations = Żadna organizacja nie pasuje. Wyczyść wyszukiwanie lub utwórz ją przyciskiem powyżej.
empty-organization = Jeszcze nic nie zużyto
empty-organization-text = Zużycie pojawia się tu kilka sekund po pierwszym żądaniu. Podaj swojemu klientowi ten adres bazowy i klucz organizacji.

state-loading = Wczytywanie danych o zużyciu
state-slow = Serwer długo nie odpowiada. Nic nie zginęło.
state-away = Serwer jest nieosiągalny. Poniżej są ostatnie liczby.
state-lost = Utracono połączenie, ponawiam próby
retry = Spróbuj ponownie
refresh = Odśwież
copy = Kopiuj
copied = Skopiowano
to-start = Przejdź do strony głównej
request-id = Jeśli to się powtarza, podaj administratorowi ten identyfikator:

problem-forbidden-title = Brak dostępu
problem-forbidden = Tę stronę może otworzyć tylko administrator. Skontaktuj się z nim.
problem-inactive-title = Chwilowo brak dostępu
problem-inactive-organization = Organizacja jest nieaktywna. Dane są zachowane. Skontaktuj się ze sprzedawcą.
problem-inactive-member = To konto nie należy już do organizacji. Skontaktuj się z jej administratorem.
problem-csrf-title = Formularz jest nieaktualny
problem-csrf = Nie pochodzi ze strony tej sesji. Niczego nie zmieniono. Otwórz stronę ponownie i powtórz.
problem-not-found-title = Nie ma takiej strony
problem-not-found = Adres jest błędny albo prowadzi do czegoś, do czego nie masz dostępu.
problem-bad-title = Adres jest niezrozumiały
problem-bad = Jedna z wartości nie pasuje. Niczego nie zmieniono.
problem-form-title = Formularz jest nieczytelny
problem-form = Brakuje w nim pola albo jest za długi. Niczego nie zmieniono. Otwórz stronę ponownie i powtórz.
problem-detail = Szczegół techniczny (po angielsku):
problem-often-title = Zbyt wiele żądań
problem-often = Odczekaj kilka sekund i spróbuj ponownie.
problem-slow-title = Baza danych długo nie odpowiada
problem-slow = Strona nie była gotowa na czas. Zużycie jest nadal zapisywane. Spróbuj ponownie lub wybierz mniej dni.
problem-slow-change = Odpowiedź nie była gotowa na czas. Zmiana mogła zostać zapisana lub jest jeszcze w toku: sprawdź to, zanim ją powtórzysz.
problem-away-title = Baza danych jest nieosiągalna
problem-away = Zużycie jest nadal zapisywane i pojawi się, gdy baza wróci. Spróbuj ponownie za chwilę.
problem-failed-title = To się nie udało
problem-failed = Błąd zapisano w dzienniku serwera. Zapisane zużycie nie jest nim objęte.

form-refused = Niczego nie zmieniono: { $value }
form-unfit-amount = Podaj kwotę w USD, na przykład 12,50.
form-cancel = Anuluj
form-save = Zapisz
